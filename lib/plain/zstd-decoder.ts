/**
 * Decodes zstd: with node:zlib where it can (Node 22.15 and later), else in
 * JavaScript. Either is loaded when the first zstd layer comes along. Frames are
 * decoded one by one, so both do the same.
 */
import type { Transform } from 'node:stream';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import zlib from 'node:zlib';
import { SociError } from '../errors.js';
import { type FramePiece, ZstdFrames } from './zstd-frames.js';

/** @types/node for Node 20 does not know it yet. */
const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform };

/**
 * fzstd makes a window for each frame and moves all of it for each block, be that of a single byte: a few megabytes
 * of such blocks would keep it busy for hours. So many bytes may be moved for nothing, and for each byte of output;
 * blocks of real layers have thousands of bytes, and windows hardly ever more than 8 MiB.
 */
const FREE_MOVES = 4 * 2 ** 30;
const MOVES_PER_BYTE = 2 ** 16;
/** Bytes moved, or pieces without any, between two turns of the event loop: some 10 ms. */
const MOVES_AT_A_TIME = 2 ** 27;
const PIECE_MOVES = 2 ** 17;

export interface DecodeZstdOptions {
  /** Whether node:zlib does it. Default: if it can. */
  readonly native?: boolean;
  /** Called where bytes begin that are no frame; they are not decoded. */
  readonly onTrailing?: (offset: number) => void;
}

/**
 * The decoded bytes, each chunk valid until the next one is asked for.
 *
 * @param name of the stream, for messages
 * @throws SociError ERR_SOCI_ZSTD_DATA, ERR_SOCI_LAYER_TRUNCATED, ERR_SOCI_LIMIT
 */
export async function* decodeZstd(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  options: DecodeZstdOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { native = createZstdDecompress !== undefined, onTrailing } = options;
  const pieces = piecesOf(chunks, name, onTrailing);
  try {
    yield* native ? decodeNatively(pieces) : decodeInScript(pieces, name);
  } catch (error) {
    // What node:zlib and fzstd throw are their own errors, all of them about the data.
    if (error instanceof SociError || !isDecoderError(error)) throw error;
    throw new SociError('ERR_SOCI_ZSTD_DATA', `${name}: ${(error as Error).message}`, { cause: error });
  }
}

async function* piecesOf(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  onTrailing: ((offset: number) => void) | undefined,
): AsyncGenerator<FramePiece, void, undefined> {
  const frames = new ZstdFrames(name);
  for await (const chunk of chunks) yield* frames.push(chunk);
  frames.finish();
  if (frames.trailing !== undefined) onTrailing?.(frames.trailing);
}

async function* decodeInScript(
  pieces: AsyncIterable<FramePiece>,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { Decompress } = await import('fzstd');
  const output: Uint8Array[] = [];
  const start = () => new Decompress(block => output.push(block));
  let decoder = start();
  let produced = 0;
  let moved = 0;
  let rested = 0;
  for await (const { bytes, last, window } of pieces) {
    decoder.push(bytes, last);
    moved += PIECE_MOVES + window * (output.length + (last ? 1 : 0));
    for (const block of output) produced += block.length;
    if (moved > FREE_MOVES + produced * MOVES_PER_BYTE) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${name}: zstd blocks of next to nothing with windows of up to ${window} bytes`,
        { data: { window, produced } },
      );
    }
    yield* output;
    output.length = 0;
    if (last) decoder = start();
    if (moved - rested > MOVES_AT_A_TIME) {
      await setImmediate();
      rested = moved;
    }
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
