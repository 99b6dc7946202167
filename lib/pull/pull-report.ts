/** What a pull says of itself: while it goes on, and in the end, blob by blob with what was done and why. */
import type { Descriptor } from '../registry/descriptor.js';
import type { LayerNote } from '../tree/layer-note.js';
import type { UnpackImageResult } from '../unpack/unpack-result.js';
import type { DownloadWay } from './blob-download.js';

export interface PullProgress {
  /** 'unpack': of a target that unpacks, whose bytes are those of the layer or of its tar, and in no total. */
  readonly phase: 'download' | 'unpack';
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

/** A layer that was unpacked. */
export interface PulledTreeLayer {
  readonly layer: number;
  readonly digest: string;
  /** Of its tar: proved, where the config says it. */
  readonly diffId: string;
  /** Bytes of its tar. */
  readonly unpackedSize: number;
  readonly entries: number;
  /** Where the ztoc came from by which it was decoded; 'made': it came as one stream, and a ztoc was made on the way. */
  readonly ztoc: 'index' | 'cache' | 'made' | undefined;
  /** How it was decoded, and why so, in words. */
  readonly why: string;
  /** Of `overlay:`, its directory. */
  readonly directory: string | undefined;
}

/** What came of a target that unpacks. */
export interface PulledTree {
  readonly layers: readonly PulledTreeLayer[];
  /** How many owners, xattrs and devices were left out, since only root may set them. */
  readonly skipped: UnpackImageResult['skipped'];
  /** Where runtimes and the specification read the layers differently; of `rootfs:`. */
  readonly notes: readonly LayerNote[];
  /** Of `overlay:`, the option of mount(8) that puts the layers on top of each other. */
  readonly lowerdir: string | undefined;
}

export interface PulledTarget {
  readonly target: string;
  /** 'unchanged': all of it was there. */
  readonly outcome: 'written' | 'unchanged';
  /** Of `rootfs:` and `overlay:` that were written. */
  readonly tree: PulledTree | undefined;
}

export interface PullResult {
  /** Of the image's manifest, or of the image index when all platforms were pulled. */
  readonly digest: string;
  readonly mediaType: string;
  /** In the order in which they were named. 'unchanged': all of it was there. */
  readonly targets: readonly PulledTarget[];
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
