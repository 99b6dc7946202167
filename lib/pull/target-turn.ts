/** One pull at a time that makes or replaces a target: the others wait, and find what it has made. */
import { join } from 'node:path';
import { FileTurn, makeLockFile } from '../files/locked-file.js';
import type { PullDestinationOptions } from './pull-target.js';

/** To be ended with the destination. @throws the signal's reason */
export async function takeTarget({ temporary, signal }: PullDestinationOptions): Promise<FileTurn> {
  const path = join(temporary, 'target.lock');
  await makeLockFile(path, '');
  return await FileTurn.take(path, signal);
}
