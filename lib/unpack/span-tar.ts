/**
 * All of a layer's tar by its ztoc: decoded by spans on all threads, in memory that
 * is lent. A ztoc's spans end where the archive does, but a tar may go on (with
 * zeros, as a rule), and its digest covers that too: what follows is decoded
 * from the last span.
 */
import type { EngineName, NativeSpanDecoder } from '../binding.js';
import { SociError } from '../errors.js';
import { lentChunks } from '../layer/lent-chunks.js';
import type { RangeSource } from '../source/range-source.js';
import type { ReadContext } from '../span/read-context.js';
import { SpanReader } from '../span/reader.js';
import type { Ztoc } from '../ztoc/ztoc.js';

const PIECE_BYTES = 2 ** 20;

/** @throws what reading spans throws; ERR_SOCI_LAYER_TRUNCATED */
export async function* spanTar(
  source: RangeSource,
  ztoc: Ztoc,
  context: ReadContext,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new SpanReader(source, ztoc, { context });
  try {
    const memory = reader.passMemory();
    yield* lentChunks(
      () => ({
        start: 0,
        end: reader.size,
        threads: context.settings.decodeConcurrency,
        requested: reader.requested,
        read: (from, to, pass) => reader.lend(from, to, memory, { signal: pass }),
        pieceEnd: (from, bytes) => reader.pieceEnd(from, reader.size, bytes),
      }),
      signal,
    );
    yield* behindArchive(source, ztoc, { start: reader.size, engine: context.settings.engine, signal });
  } finally {
    await reader.close();
  }
}

interface Rest {
  /** Where it begins in the tar. */
  readonly start: number;
  readonly engine: EngineName;
  readonly signal: AbortSignal;
}

async function* behindArchive(
  source: RangeSource,
  ztoc: Ztoc,
  { start, engine, signal }: Rest,
): AsyncGenerator<Uint8Array, void, undefined> {
  const last = ztoc.spanCount - 1;
  if (last < 0) return;
  const { uncompressedStart } = ztoc.span(last);
  const open = ztoc.spanStart(last, engine).open;
  // What is stored is the tar.
  if (open === undefined) yield* pieces(source, start, signal);
  else yield* inflated(pieces(source, ztoc.fetchStart(last), signal), open(), start - uncompressedStart);
}

/** @param skip bytes that are left out */
async function* inflated(
  input: AsyncIterable<Uint8Array>,
  decoder: NativeSpanDecoder,
  skip: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const output = new Uint8Array(PIECE_BYTES);
  let skipped = 0;
  let ended = false;
  for await (const piece of input) {
    for (let at = 0; ; ) {
      const done = await decoder.run(piece.subarray(at), output, skip - skipped);
      at += done.consumed;
      skipped += done.skipped;
      ({ ended } = done);
      if (done.produced > 0) yield output.subarray(0, done.produced);
      // With no input left it has given all that there is to give.
      if (at === piece.length && done.skipped === 0 && done.produced < output.length) break;
    }
  }
  if (ended) return;
  throw new SociError('ERR_SOCI_LAYER_TRUNCATED', 'the layer ends in the middle of its gzip stream');
}

async function* pieces(
  source: RangeSource,
  start: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = start; at < source.size; at += PIECE_BYTES) {
    yield await source.read(at, Math.min(PIECE_BYTES, source.size - at), { signal });
  }
}
