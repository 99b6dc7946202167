/**
 * Where an image is pulled to. A target is given what the image is made of, then
 * each blob that it does not have, several at a time and in no order, and makes
 * all of it valid at once in the end: what it writes has its final name when it
 * is complete and proved, and not before. Any number of targets live on one
 * download.
 */
import type { PullLimits } from '../configuration/pull-presets.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';
import type { ReadContext } from '../span/read-context.js';
import type { LayerZtocs } from './layer-ztocs.js';
import type { PullContent } from './pull-content.js';
import type { PulledTree } from './pull-report.js';

/** A blob on its way to the targets. */
export interface PulledBlob {
  readonly descriptor: Descriptor;
  /** Position of the lowest layer with this digest; undefined for what is no layer of the image. */
  readonly layer: number | undefined;
  /** Of the tar that the layer decodes to, where the config says it. */
  readonly diffId: string | undefined;
  /**
   * The bytes from the first to the last, as they come. The end is only reported when the digest is right: until then
   * nothing that is made of them may have its final name. Any number of readers, each at his own pace; none holds up
   * the download. The chunks must not be written to.
   */
  stream(options?: AbortableOptions): AsyncIterable<Uint8Array>;
  /**
   * Settles when all of it is there and proved.
   *
   * @returns the file that it is in until the pull ends, not to be changed; undefined when it is in none, but to be had
   *   by `stream` or `open`
   */
  whole(signal: AbortSignal): Promise<string | undefined>;
  /** Any range of it, now and after `whole`: what is not there yet is fetched, and not fetched again. To be closed. */
  open(signal: AbortSignal): Promise<RangeSource>;
}

/** What a target has from before. Whatever its names say, nothing counts that has not the digest that is asked for. */
export interface PresentContent {
  /** Whether all of a blob is there. */
  has(descriptor: Descriptor, signal: AbortSignal): Promise<boolean>;
  /** Undefined unless it is there, of at most `limit` bytes. */
  read(digest: string, limit: number, signal: AbortSignal | undefined): Promise<Uint8Array | undefined>;
  /** One that is there. To be closed. Absent where blobs are only there as what was made of them. */
  open?(descriptor: Descriptor, signal: AbortSignal): Promise<RangeSource>;
}

/** What a target begins with, beside what is to come. */
export interface PullBeginning {
  /** By which layers are decoded on all cores, and which may be made on the way. */
  readonly ztocs: LayerZtocs;
  /** How far a layer has been unpacked: so many bytes of `size`, as it is stored or of its tar. */
  readonly onUnpacking: (layer: number, bytes: number, size: number) => void;
}

/** What a target is opened with. */
export interface PullDestinationOptions {
  /** A folder of the target's file system for what is in the making; it is there until the pull ends. */
  readonly temporary: string;
  /** Have what is written on the disk before it has its name. */
  readonly sync: boolean;
  readonly limits: PullLimits;
  readonly context: ReadContext;
  readonly signal: AbortSignal;
}

export interface PullTarget {
  /** What messages call it, `oci:DIR`. */
  readonly name: string;
  /** The absolute path that it writes to: no two targets of a pull may have the same. */
  readonly path: string;
  /** Absolute path of a folder beside or in it, where what is not complete waits for the next attempt. */
  readonly staging: string;
  /**
   * Looks what is there, and changes nothing.
   *
   * @throws SociError ERR_SOCI_OUTPUT when that is something else
   */
  check(signal: AbortSignal): Promise<void>;
  open(options: PullDestinationOptions): Promise<PullDestination>;
}

export interface PullDestination {
  /** What was there before, for what need not be fetched; undefined where nothing can be taken over. */
  readonly present: PresentContent | undefined;
  /**
   * @param lacking those of the content's blobs that `present` has not, or not as they should be
   * @throws SociError ERR_SOCI_OUTPUT for an image that cannot be there
   */
  begin(content: PullContent, lacking: readonly Descriptor[], beginning: PullBeginning): Promise<void>;
  /**
   * Takes one of the blobs that are lacking, and settles when it has it; the pull fails with it. They are begun in the
   * order of `PullContent.blobs`, the layers of an image from the lowest on, a few at a time: who has to wait for one
   * before his own waits for one that has begun.
   */
  write(blob: PulledBlob, signal: AbortSignal): Promise<void>;
  /** One of them will not come: a layer that is to be had elsewhere, by its URLs, and is not there. */
  leaveOut(descriptor: Descriptor): void;
  /** Gives all of it its final name. */
  commit(signal: AbortSignal): Promise<'written' | 'unchanged'>;
  /** Of one that unpacks, what came of that, once it is committed. */
  readonly tree?: PulledTree | undefined;
  /** Frees what is held, and removes what is in the making. Twice is no error. */
  close(): Promise<void>;
}
