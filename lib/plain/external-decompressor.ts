/**
 * A layer decompressed by a program of the user's, compressed bytes in and tar bytes out.
 * The program is trusted to be run and with nothing else: it may hang, flood, lie about
 * how it went or leave processes behind. What it says is not checked here: whoever reads
 * the bytes holds them against the diffID.
 */
import { SociError } from '../errors.js';
import type { Decompressor } from './decompressor-check.js';
import { DecompressorRun } from './decompressor-run.js';

/** Longer than a disk takes to wake up, or a swapped-out machine to come back. */
const STALL_MS = 60_000;

export interface ExternalDecompressorOptions {
  /** Milliseconds without progress that is the program's to make before it is killed. Default 60 s. */
  readonly stallMs?: number;
}

export interface DecompressOptions {
  /** More is refused. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ExternalDecompressor {
  /**
   * The program's output. It ends where the program has ended with status 0, and `source` with it; ending it
   * earlier kills the program, and everything in its process group, before it returns.
   *
   * @param source chunks may be lent: each is written before the next is asked for
   * @throws SociError ERR_SOCI_DECOMPRESSOR, ERR_SOCI_LIMIT; what `source` throws
   */
  decompress(
    source: AsyncIterable<Uint8Array>,
    options: DecompressOptions,
  ): AsyncGenerator<Uint8Array, void, undefined>;
}

export function externalDecompressor(
  tool: Decompressor,
  { stallMs = STALL_MS }: ExternalDecompressorOptions = {},
): ExternalDecompressor {
  return {
    async *decompress(source, { maxBytes, signal }) {
      signal?.throwIfAborted();
      const run = new DecompressorRun(tool, stallMs, signal);
      try {
        run.feed(source);
        let bytes = 0;
        for (;;) {
          const chunk = await run.next();
          if (chunk === undefined) break;
          bytes += chunk.length;
          if (bytes > maxBytes) throw tooLong(tool, maxBytes);
          yield chunk;
        }
      } finally {
        await run.end();
      }
    },
  };
}

function tooLong({ key, path }: Decompressor, maxBytes: number): SociError {
  return new SociError(
    'ERR_SOCI_LIMIT',
    `${key}: expected at most ${maxBytes} bytes from ${path}, received more`,
    { data: { key, path, limit: maxBytes } },
  );
}
