/** A temporary folder that is gone when the test is over. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Teardown } from '../../registry/fixture.js';

export async function workspace(t: Teardown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'seekable-oci-e2e-'));
  // Trees with folders that nobody may write to, and servers that are just ending.
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}
