/**
 * Which codec a layer has, by its first bytes: media types are often wrong or
 * absent. Formats that a ztoc cannot express are named.
 */
import { SociError } from '../errors.js';
import { CODECS, type Compression } from './codec/codecs.js';
import type { SpanCodec } from './codec/span-codec.js';

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
export function sniffCodec(head: Uint8Array): SpanCodec<Compression> {
  const codec = CODECS.find(({ matches }) => matches(head));
  if (codec !== undefined) return codec;
  const other = OTHER_FORMATS.find(([, magic]) => magic.every((byte, i) => head[i] === byte))?.[0];
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
