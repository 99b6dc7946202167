/**
 * What the snippets of the documentation take for granted: values that a reader has, and that a page speaks of
 * before the snippet. Everything else a snippet imports or makes itself.
 */

/** A ztoc as it was stored, and its digest, which was kept elsewhere. */
declare const ztocBytes: Uint8Array;
declare const ztocDigest: string;

/** Where the reader wants bytes. */
declare const buffer: Uint8Array;
declare const output: import('node:stream').Writable;

/** PEM text of a certificate authority. */
declare const ca: string;

/** Of the reader's metrics library. */
declare const histogram: { observe(labels: Readonly<Record<string, unknown>>, value: number): void };
