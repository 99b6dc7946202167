/**
 * Decodes zstd: with node:zlib where it can (Node 22.15 and later), else in
 * JavaScript. Either is loaded when the first zstd layer comes along. Frames are
 * decoded one by one, so both do the same.
 */
import type { Transform } from 'node:stream';
import { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { SociError } from '../errors.js';
import { type FramePiece, ZstdFrames } from './zstd-frames.js';

/** @types/node for Node 20 does not know it yet. */
const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform };

/**
 * The decoded bytes, each chunk valid until the next one is asked for.
 *
 * @param name of the stream, for messages
 * @param native Whether node:zlib does it. Default: if it can.
 * @throws SociError ERR_SOCI_ZSTD_DATA, ERR_SOCI_LAYER_TRUNCATED, ERR_SOCI_LIMIT
 */
export async function* decodeZstd(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  native: boolean = createZstdDecompress !== undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces = piecesOf(chunks, name);
  try {
    yield* native ? decodeNatively(pieces) : decodeInScript(pieces);
  } catch (error) {
    // What node:zlib and fzstd throw are their own errors, all of them about the data.
    if (error instanceof SociError || !isDecoderError(error)) throw error;
    throw new SociError('ERR_SOCI_ZSTD_DATA', `${name}: ${(error as Error).message}`, { cause: error });
  }
}

async function* piecesOf(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<FramePiece, void, undefined> {
  const frames = new ZstdFrames(name);
  for await (const chunk of chunks) yield* frames.push(chunk);
  frames.finish();
}

async function* decodeInScript(
  pieces: AsyncIterable<FramePiece>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { Decompress } = await import('fzstd');
  const output: Uint8Array[] = [];
  const start = () => new Decompress(block => output.push(block));
  let decoder = start();
  for await (const { bytes, last } of pieces) {
    decoder.push(bytes, last);
    yield* output;
    output.length = 0;
    if (last) decoder = start();
  }
}

async function* decodeNatively(
  pieces: AsyncGenerator<FramePiece>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (let first = await pieces.next(); first.done !== true; first = await pieces.next()) {
      const decoder = (createZstdDecompress as () => Transform)();
      const input = Readable.from(frameFrom(first.value, pieces), { objectMode: false });
      input.once('error', error => decoder.destroy(error));
      try {
        yield* input.pipe(decoder);
      } finally {
        input.destroy();
      }
    }
  } finally {
    await pieces.return(undefined);
  }
}

/** The pieces of one frame; those of the next one stay in `pieces`. */
async function* frameFrom(first: FramePiece, pieces: AsyncGenerator<FramePiece>): AsyncGenerator<Uint8Array> {
  for (let piece = first; ; ) {
    yield piece.bytes;
    if (piece.last) return;
    const next = await pieces.next();
    if (next.done === true) return;
    piece = next.value;
  }
}

function isDecoderError(error: unknown): boolean {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return (
    typeof code === 'number' ||
    (typeof code === 'string' && /^(ZSTD|Z)_/.test(code)) ||
    error instanceof RangeError
  );
}
