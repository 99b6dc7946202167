/**
 * How the body of a request leaves: with a clock that runs while the server is
 * to take what it was given, and stands while the body's own source is slow.
 */
import type { HttpBody } from './message.js';

export interface SendingClock {
  /** The server is waited for: to take the last piece, or to reply. */
  start(): unknown;
  /** The source of the body is waited for. */
  stop(): unknown;
}

/** Bytes at hand leave in pieces of this size: each one that the server takes starts the clock anew. */
const PIECE = 256 * 1024;

export function timedBody(body: HttpBody, clock: SendingClock): Uint8Array | AsyncIterable<Uint8Array> {
  if (typeof body === 'function') return timed(body(), clock);
  return body.length <= PIECE ? body : timed(pieces(body), clock);
}

async function* timed(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  clock: SendingClock,
): AsyncGenerator<Uint8Array, void, undefined> {
  clock.stop();
  for await (const chunk of chunks) {
    clock.start();
    yield chunk;
    clock.stop();
  }
  clock.start();
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let start = 0; start < bytes.length; start += PIECE) yield bytes.subarray(start, start + PIECE);
}
