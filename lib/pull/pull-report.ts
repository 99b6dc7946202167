/** What a pull says of itself: while it goes on, and in the end, blob by blob with what was done and why. */
import type { Descriptor } from '../registry/descriptor.js';
import type { DownloadWay } from './blob-download.js';

export interface PullProgress {
  /** Position of the lowest layer with this digest; undefined for what is no layer of the image. */
  readonly layer: number | undefined;
  readonly digest: string;
  /** Bytes of the blob that are there, of `size`. */
  readonly bytes: number;
  readonly size: number;
  /** Of all blobs that some target lacks. */
  readonly totalBytes: number;
  readonly totalSize: number;
}

/**
 * 'present': all targets had it. 'copied': a target had it, and the others have it from there. 'kept': all of it was
 * in the store, or had been fetched by a pull that was interrupted; 'resumed': a part of it. 'fetched': none of it.
 * 'left-out': a layer that is to be had at its URLs, and is not.
 */
export type PullOutcome = 'present' | 'copied' | 'kept' | 'resumed' | 'fetched' | 'left-out';

export interface PulledBlobReport {
  /** Position of the lowest layer with this digest; undefined for configs and what refers to the image. */
  readonly layer: number | undefined;
  readonly digest: string;
  readonly mediaType: string;
  /** Of the tar that the layer decodes to, where the config says it. */
  readonly diffId: string | undefined;
  readonly size: number;
  /** Bytes that came from where the image is. */
  readonly fetched: number;
  /** From when it was its turn until it was proved and handed to all targets. */
  readonly ms: number;
  /** Of what was fetched; undefined when nothing was. */
  readonly bytesPerSecond: number | undefined;
  readonly outcome: PullOutcome;
  /** Why it was done so, in words. */
  readonly why: string;
}

export interface PullResult {
  /** Of the image's manifest, or of the image index when all platforms were pulled. */
  readonly digest: string;
  readonly mediaType: string;
  /** In the order in which they were named. 'unchanged': all of it was there. */
  readonly targets: readonly { readonly target: string; readonly outcome: 'written' | 'unchanged' }[];
  readonly blobs: readonly PulledBlobReport[];
  /** What the image index lists and is not there, and what refers to the image and is gone. */
  readonly absent: readonly Descriptor[];
  /** Of all blobs. */
  readonly size: number;
  readonly fetched: number;
  readonly ms: number;
  /** Of what was fetched; undefined when nothing was. */
  readonly bytesPerSecond: number | undefined;
}

const WAYS: Readonly<Record<DownloadWay, string>> = {
  kept: 'all of it was here already',
  whole: 'in one request, as the chunk size is 0',
  small: 'in one request, being no larger than a chunk',
  'no ranges': 'in one request, as the server ignores Range',
  ranges: 'in ranges of the chunk size',
};

export function wayText(way: DownloadWay, kept: number): string {
  const before = way !== 'kept' && kept > 0 ? `; ${kept} bytes were here already` : '';
  return `${WAYS[way]}${before}`;
}

/** Undefined when there is nothing to divide. */
export function rateOf(bytes: number, ms: number): number | undefined {
  return bytes === 0 ? undefined : Math.round((bytes / Math.max(ms, 1)) * 1000);
}
