/**
 * A layer without entries, in the place of a blob that is no file-system layer:
 * the layers above and below keep their positions.
 */
import type { LayerContent } from '../layer/layer-entries.js';
import { BufferSource } from '../source/buffer-source.js';
import { BLOCK_SIZE } from '../tar/header-block.js';
import { PlainTarPass } from './plain-tar.js';
import { UnpackBudget } from './unpack-budget.js';

/** What tar writes for nothing (POSIX.1-2017, pax, "ustar Interchange Format"): two blocks of zeros. */
const END_OF_ARCHIVE = 2 * BLOCK_SIZE;

export function emptyTar(name: string): LayerContent {
  const bytes = new Uint8Array(END_OF_ARCHIVE);
  const pass = new PlainTarPass(name, new UnpackBudget(END_OF_ARCHIVE), undefined);
  pass.push(bytes);
  return { ...pass.table(), source: new BufferSource(bytes, name) };
}
