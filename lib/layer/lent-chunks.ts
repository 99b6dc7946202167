/**
 * All of a tar, a span at a time, in memory that is lent: the fast way through
 * a layer for whoever is done with a chunk before asking for the next. Nothing
 * is copied, and nothing is left to the garbage collector.
 */
import { AbortScope } from '../async/abort-scope.js';
import type { LentBytes } from '../span/reader.js';
import { type PiecewiseFile, ReadAhead } from './read-ahead.js';

/** @param open called when the first chunk is asked for; its errors are the iteration's */
export async function* lentChunks(
  open: () => PiecewiseFile<LentBytes>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pass = new AbortScope().begin(signal);
  try {
    const ahead = new ReadAhead(open(), pass.signal);
    for (;;) {
      pass.signal.throwIfAborted();
      const part = await ahead.next();
      if (part === undefined) return;
      // An empty part lies between two spans.
      if (part.bytes.length > 0) yield part.bytes;
      part.release();
    }
  } finally {
    pass.abort(undefined);
    pass.end();
  }
}
