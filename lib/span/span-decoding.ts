/**
 * Turns the compressed bytes of one span into its bytes of the tar stream, the
 * digest checked first: in one job of the addon where that is short, in slices
 * where it is not.
 */
import { SociError, type SociErrorOptions } from '../errors.js';
import type { Work } from '../source/lanes.js';
import type { FileLender, FilePart } from '../source/lent-file.js';
import type { LayerSpans } from './layer-spans.js';
import { memoryFeed, SlicedDecoder } from './sliced-decoder.js';
import { digestBytes, digestMismatch, sha256 } from './span-digest.js';
import { compressedLength, decodedLength, type Span } from './span-table.js';
import { checkSpanDigest } from './verified-fetch.js';

/** A span of up to this many bytes, compressed and decoded, is one job: about 20 ms. */
const ONE_JOB_BYTES = 8 * 1024 * 1024;

/** Whether a span is decoded in one job, which has a copy of its own of all of the span's input. */
export function isOneJob(span: Span): boolean {
  return Math.max(compressedLength(span), decodedLength(span)) <= ONE_JOB_BYTES;
}

export interface SpanDecodingOptions extends Work {
  /**
   * Gives what to decode into, of the span's length, when decoding begins; long spans that are only copied do without.
   */
  readonly memory?: (() => Uint8Array | undefined) | undefined;
  /** Whether it is one of many that nobody waits for in particular. */
  readonly bulk?: boolean | undefined;
}

/** @param input the bytes from `fetchStart(span)` to the span's end */
export async function decodeWholeSpan(
  layer: LayerSpans,
  span: Span,
  input: Uint8Array,
  { signal, urgency, memory, bulk }: SpanDecodingOptions,
): Promise<Uint8Array> {
  const { table, name, context } = layer;
  const digestOffset = span.compressedStart - table.fetchStart(span.index);
  const start = table.spanStart(span.index, context.settings.engine);
  const length = decodedLength(span);
  try {
    if (input.length <= ONE_JOB_BYTES && length <= ONE_JOB_BYTES) {
      const digest = digestBytes(span.digest);
      const job = (): Promise<Uint8Array> =>
        start.decode({ input, digest, digestOffset, output: memory?.() ?? length, bulk }, { signal });
      return await context.decoding.run(job, { signal, urgency, bulk });
    }
    if (start.open === undefined) {
      // A copy (a Buffer's slice is none), checked itself: the source may have lent its own memory.
      const copy = new Uint8Array(input);
      await checkSpanDigest(name, span, copy.subarray(digestOffset));
      return copy.subarray(0, length);
    }
    await checkSpanDigest(name, span, input.subarray(digestOffset));
    const output = memory?.() ?? new Uint8Array(length);
    const decoder = new SlicedDecoder(context.decoding, start.open(), memoryFeed(input));
    await decoder.fill(output, { signal, urgency });
    signal.throwIfAborted();
    return output;
  } catch (error) {
    if (error instanceof SociError && error.code === 'ERR_SOCI_SPAN_DIGEST') {
      throw digestMismatch(name, span, await sha256(input.subarray(digestOffset)), error);
    }
    throw signal.aborted ? signal.reason : inSpan(name, span, error);
  }
}

/**
 * As `decodeWholeSpan`, of one job, which reads the span's bytes itself.
 *
 * @throws SociError ERR_SOCI_SPAN_DIGEST, without what was found instead
 */
export async function decodeSpanInFile(
  layer: LayerSpans,
  span: Span,
  lend: FileLender,
  { signal, urgency, memory, bulk }: SpanDecodingOptions,
): Promise<Uint8Array> {
  const { table, name, context } = layer;
  const from = table.fetchStart(span.index);
  const start = table.spanStart(span.index, context.settings.engine);
  const digest = digestBytes(span.digest);
  const digestOffset = span.compressedStart - from;
  const decode = async (input: FilePart): Promise<Uint8Array> => {
    try {
      const output = memory?.() ?? decodedLength(span);
      return await start.decode({ input, digest, digestOffset, output, bulk }, { signal });
    } catch (error) {
      throw signal.aborted ? signal.reason : inSpan(name, span, error);
    }
  };
  const job = () => lend(from, span.compressedEnd - from, decode, { signal });
  return await context.decoding.run(job, { signal, urgency, bulk });
}

/** `error` with the span it happened in; what is not about decoding is passed on as it is. */
export function inSpan(name: string, span: Span, error: unknown): unknown {
  if (!(error instanceof SociError) || error.data['span'] !== undefined) return error;
  const options: SociErrorOptions = { data: { ...error.data, span: span.index }, cause: error };
  return new SociError(error.code, `${describe(name, span)}: ${error.message}`, options);
}

function describe(name: string, span: Span): string {
  return `span ${span.index} of ${name} (bytes ${span.compressedStart} to ${span.compressedEnd})`;
}
