/**
 * Tells whether two replies speak of the same object. An ETag decides where both
 * replies have one; else Last-Modified does, where both have one; the length
 * always must agree. Only a strong ETag may be sent as If-Range (RFC 9110 §13.1.5).
 */
import type { SociError } from '../../errors.js';
import { httpError } from './http-error.js';
import type { HttpReply } from './message.js';
import { shownValue } from './redact.js';

export class HttpIdentity {
  readonly size: number;
  readonly #etag: string | undefined;
  readonly #lastModified: string | undefined;

  private constructor(size: number, etag: string | undefined, lastModified: string | undefined) {
    this.size = size;
    this.#etag = etag;
    this.#lastModified = lastModified;
  }

  static of(reply: HttpReply, size: number): HttpIdentity {
    return new HttpIdentity(size, reply.header('etag'), reply.header('last-modified'));
  }

  /** The object's strong ETag, if it has one. */
  get ifRange(): string | undefined {
    return this.#etag?.startsWith('"') ? this.#etag : undefined;
  }

  /** @throws SociError ERR_SOCI_SOURCE_CHANGED when `reply` has other validators. */
  check(reply: HttpReply): void {
    const etag = reply.header('etag');
    if (this.#etag !== undefined && etag !== undefined) {
      // Proxies that recompress mark the tag weak in passing: compared weakly (§8.8.3.2).
      if (opaque(this.#etag) !== opaque(etag)) throw changed(reply, 'ETag', this.#etag, etag);
      return;
    }
    const lastModified = reply.header('last-modified');
    if (
      this.#lastModified !== undefined &&
      lastModified !== undefined &&
      this.#lastModified !== lastModified
    ) {
      throw changed(reply, 'Last-Modified', this.#lastModified, lastModified);
    }
  }
}

/** @throws SociError ERR_SOCI_SOURCE_CHANGED unless the lengths agree; an unknown length passes. */
export function checkTotal(reply: HttpReply, expected: number, total: number | undefined): void {
  if (total !== undefined && total !== expected) throw changed(reply, 'length', expected, total);
}

function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}

function changed(
  reply: HttpReply,
  what: string,
  expected: string | number,
  found: string | number,
): SociError {
  return httpError(
    'ERR_SOCI_SOURCE_CHANGED',
    reply,
    `not the object that was opened: expected the ${what} ${shownValue(expected)}, found ${shownValue(found)}`,
    { expected, found },
  );
}
