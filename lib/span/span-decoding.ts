/**
 * Turns the compressed bytes of one span into its bytes of the tar stream, the
 * digest checked first: in one job of the addon where that is short, in slices
 * where it is not, and without any decoding for an uncompressed layer.
 */
import { decodeSpan, type SpanDecoderOptions } from '../binding.js';
import { SociError, type SociErrorOptions } from '../errors.js';
import { decodePool } from './decode-pool.js';
import { settings } from './settings.js';
import { memoryFeed, SlicedDecoder } from './sliced-decoder.js';
import { digestBytes, digestMismatch, sameDigest, sha256 } from './span-digest.js';
import { compressedLength, decodedLength, fetchStart, type Span, type SpanTable } from './span-table.js';

/** A span of up to this many bytes, compressed and decoded, is one job: about 20 ms. */
const ONE_JOB_BYTES = 8 * 1024 * 1024;

/** Whether the addon copies all of a span's input when it is asked to decode it. */
export function isOneJob(span: Span): boolean {
  return Math.max(compressedLength(span), decodedLength(span)) <= ONE_JOB_BYTES;
}

/** How a decoder starts at the beginning of `span`, whose input begins at `fetchStart`. */
export function decoderStart(table: SpanTable, span: Span): SpanDecoderOptions {
  const { engine } = settings();
  return fetchStart(table, span) < span.compressedStart
    ? { engine, start: 'gzip', bits: 0, window: undefined }
    : { engine, start: 'raw', bits: span.bits, window: table.window(span.index) };
}

/**
 * @param input the bytes from `fetchStart(span)` to the span's end
 * @param memory what to decode into, of the span's length; uncompressed spans do without
 */
export async function decodeWholeSpan(
  table: SpanTable,
  span: Span,
  input: Uint8Array,
  name: string,
  signal: AbortSignal,
  memory?: Uint8Array,
): Promise<Uint8Array> {
  const digestOffset = span.compressedStart - fetchStart(table, span);
  const digest = digestBytes(span.digest);
  if (table.compression === 'uncompressed') {
    // A copy (a Buffer's slice is none): the source may have lent its own memory, and the cache keeps this.
    const output = new Uint8Array(input);
    await checkDigest(span, output, digest, name);
    return output.subarray(0, decodedLength(span));
  }
  const start = decoderStart(table, span);
  const length = decodedLength(span);
  try {
    if (input.length <= ONE_JOB_BYTES && length <= ONE_JOB_BYTES) {
      const job = { ...start, codec: 'gzip' as const, input, digest, digestOffset, output: memory ?? length };
      return await decodePool.run(() => decodeSpan(job, { signal }), signal);
    }
    await checkDigest(span, input.subarray(digestOffset), digest, name);
    const output = memory ?? new Uint8Array(length);
    await new SlicedDecoder(start, memoryFeed(input)).fill(output, 0, signal);
    signal.throwIfAborted();
    return output;
  } catch (error) {
    if (error instanceof SociError && error.code === 'ERR_SOCI_SPAN_DIGEST') {
      throw digestMismatch(name, span, await sha256(input.subarray(digestOffset)), error);
    }
    throw signal.aborted ? signal.reason : inSpan(name, span, error);
  }
}

/** `error` with the span it happened in; what is not about decoding is passed on as it is. */
export function inSpan(name: string, span: Span, error: unknown): unknown {
  if (!(error instanceof SociError) || error.data['span'] !== undefined) return error;
  const options: SociErrorOptions = { data: { ...error.data, span: span.index }, cause: error };
  return new SociError(error.code, `${describe(name, span)}: ${error.message}`, options);
}

async function checkDigest(span: Span, bytes: Uint8Array, digest: Uint8Array, name: string): Promise<void> {
  const found = await sha256(bytes);
  if (!sameDigest(found, digest)) throw digestMismatch(name, span, found);
}

function describe(name: string, span: Span): string {
  return `span ${span.index} of ${name} (bytes ${span.compressedStart} to ${span.compressedEnd})`;
}
