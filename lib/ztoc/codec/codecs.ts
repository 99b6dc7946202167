/** The compressions that a ztoc can describe; the place to register another one. */
import { GZIP } from './gzip.js';
import { RAW } from './raw.js';
import type { SpanCodec } from './span-codec.js';

/** In the order in which a layer's first bytes are compared with them. */
export const CODECS = [GZIP, RAW] as const satisfies readonly SpanCodec[];

export type Compression = (typeof CODECS)[number]['compression'];

/** Undefined for a name that no ztoc can express. */
export function codecNamed(compression: string): SpanCodec<Compression> | undefined {
  return CODECS.find(codec => codec.compression === compression);
}
