/**
 * Who is told what becomes of the requests that a ranged read takes: an HttpSource asks again and goes on where bytes
 * ended, and what a host is like shows in its single requests, not in the read as a whole.
 */
import type { ReadOptions } from '../range-source.js';
import type { Departure, HttpRequest } from './message.js';

export interface RangeWatcher extends Departure {
  /** Bytes of its reply are where the reader wants them. */
  arrived(length: number): void;
  /** It has failed, or was ended. */
  failed(error: unknown): void;
}

export interface WatchedReadOptions extends ReadOptions {
  readonly watcher?: RangeWatcher | undefined;
  /** Of each request; see HttpRequest. */
  readonly ifFull?: HttpRequest['ifFull'];
}
