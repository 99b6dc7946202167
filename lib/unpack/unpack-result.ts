/** What came of unpacking an image. */
import type { SociError } from '../errors.js';
import type { LayerNote } from '../tree/layer-note.js';
import type { Ztoc } from '../ztoc/ztoc.js';
import type { SkippedAttributes } from './tree-writing.js';

export interface UnpackedLayerSummary {
  /** SHA-256 of the layer as stored; undefined where it is not known (a tar that was given, a layer with a ztoc). */
  readonly digest: string | undefined;
  /** SHA-256 of its tar. */
  readonly diffId: string;
  /** Bytes of its tar. */
  readonly unpackedSize: number;
  readonly entries: number;
  /** Made on the way, if it was wanted and the layer can have one. */
  readonly ztoc: Ztoc | undefined;
  /** Why it can have none. */
  readonly noZtoc: SociError | undefined;
  /** Of the target 'overlay': its directory. */
  readonly directory: string | undefined;
}

export interface UnpackImageResult {
  readonly layers: readonly UnpackedLayerSummary[];
  /** Where container runtimes and the specification read the layers differently; of the target 'merged'. */
  readonly notes: readonly LayerNote[];
  /** How many owners, xattrs and devices were left out, since only root may set them. */
  readonly skipped: Readonly<SkippedAttributes>;
  /** Of the target 'overlay': the option of mount(8) that puts the layers on top of each other. */
  readonly lowerdir: string | undefined;
}
