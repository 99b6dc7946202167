/**
 * Which programs a test needs. In CI a missing one is a failure; on a machine
 * that does not have it, the test is skipped and says what is missing.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** nginx and others live where only root's PATH looks. */
const FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];

/** The full path of an installed program. */
export function findTool(name: string): string | undefined {
  return FOLDERS.map(folder => join(folder, name)).find(isExecutable);
}

/** For tap's `skip` option: false when all of `names` are there, or must be. */
export function needs(...names: readonly string[]): string | false {
  const missing = names.filter(name => findTool(name) === undefined);
  if (missing.length === 0) return false;
  const reason = `not installed: ${missing.join(', ')}`;
  if (process.env['CI']) throw new Error(`${reason} (.ci/run installs what the tests need)`);
  return reason;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
