/** What tests of unpacking share. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type OpenExecutor, openTreeWriter } from '../../lib/unpack/executors.js';
import { ReferenceExecutor } from './reference-executor.js';

export const IS_ROOT = process.geteuid?.() === 0;

export const REFERENCE: OpenExecutor = options => new ReferenceExecutor(options);
/** What is tested: the addon, or with UNPACK_REFERENCE what it is held against. */
export const OPEN: OpenExecutor = process.env['UNPACK_REFERENCE'] === undefined ? openTreeWriter : REFERENCE;

export function scratchFolder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'soci-unpack-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => undefined,
    error => error,
  );
}
