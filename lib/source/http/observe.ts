/**
 * Counts requests where the caller wants it, and publishes each one once the body of its reply has ended, and
 * meanwhile that it keeps somebody waiting.
 */
import { isWatched, publish } from '../../observe/channels.js';
import type { HttpReply, HttpRequest, Interceptor, ReplyWatcher } from './message.js';
import { redactUrl } from './redact.js';

/** Longer than a reply usually takes, shorter than people wait without wondering. */
const SILENCE_MS = 3000;

export const observe: Interceptor = next => request => {
  if (request.signal.aborted) return Promise.reject(request.signal.reason);
  return next({ ...request, watcher: new Observer(request) });
};

class Observer implements ReplyWatcher {
  readonly #request: HttpRequest;
  readonly #startedAt = performance.now();
  readonly silence: ReplyWatcher['silence'];

  constructor(request: HttpRequest) {
    this.#request = request;
    this.silence = isWatched('seekable-oci:http:waiting')
      ? { after: SILENCE_MS, tell: () => this.#tellSilence() }
      : undefined;
    if (request.stats) request.stats.requests += 1;
  }

  answered(reply: HttpReply): void {
    this.#request.watcher?.answered(reply);
  }

  received(length: number): void {
    const { stats } = this.#request;
    if (stats) stats.bytes += length;
    this.#request.watcher?.received(length);
  }

  #tellSilence(): void {
    const { method, target } = this.#request;
    publish('seekable-oci:http:waiting', () => ({ method, url: redactUrl(target.url), ms: SILENCE_MS }));
  }

  ended(status: number | undefined, bytes: number, failure?: { readonly error: unknown }): void {
    const { method, target, headers, watcher } = this.#request;
    publish('seekable-oci:http:request', () => ({
      method,
      url: redactUrl(target.url),
      range: headers['range'],
      status,
      bytes,
      ms: performance.now() - this.#startedAt,
    }));
    watcher?.ended(status, bytes, failure);
  }
}
