/**
 * The folder under the system's temporary directory that keeps what is expensive
 * to make: layers, their ztocs, compiled yardsticks. `make` runs once per name;
 * a run that breaks off leaves nothing behind under that name.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FOLDER = join(tmpdir(), 'seekable-oci-bench');

export async function cached(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(FOLDER, name);
  if (existsSync(path)) return path;
  mkdirSync(FOLDER, { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  try {
    process.stderr.write(`preparing ${path}\n`);
    await make(partial);
    renameSync(partial, path);
  } finally {
    rmSync(partial, { force: true, recursive: true });
  }
  return path;
}
