/**
 * Which compression a layer has, by its first bytes: media types are often
 * wrong or absent. Formats that a ztoc cannot express are named.
 */
import { SociError } from '../errors.js';
import { BLOCK_SIZE, hasHeaderChecksum } from '../tar/header-block.js';
import type { Compression } from './schema.js';

const OTHER_FORMATS: readonly (readonly [name: string, magic: readonly number[]])[] = [
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
];

/**
 * @param head the layer's first 512 bytes or more, fewer only if it has no more
 * @throws SociError ERR_SOCI_UNSUPPORTED_COMPRESSION
 */
export function sniffCompression(head: Uint8Array): Compression {
  if (startsWith(head, [0x1f, 0x8b])) return 'gzip';
  const block = head.subarray(0, BLOCK_SIZE);
  if (block.every(byte => byte === 0)) return 'uncompressed'; // an archive of nothing, or no byte at all
  if (block.length === BLOCK_SIZE && hasHeaderChecksum(block)) return 'uncompressed';
  const other = OTHER_FORMATS.find(([, magic]) => startsWith(head, magic))?.[0];
  const found =
    other ?? `neither gzip nor tar: it begins with ${Buffer.from(head.subarray(0, 8)).toString('hex')}`;
  throw new SociError(
    'ERR_SOCI_UNSUPPORTED_COMPRESSION',
    `a ztoc describes gzip and plain tar layers, this is ${found}`,
    {
      data: { found: other ?? 'unknown' },
    },
  );
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}
