/** What is known of a read of an image before it is made: where a file's bytes are, and what fetching them costs. */
import type { ReadPlan } from '../span/reader.js';

/** Where the bytes of a file are. Digest and entry name them, whatever image the layer is in. */
export interface ImageFileLocation {
  /** Where links lead to. */
  readonly path: string;
  /** Position of the layer in the image, the lowest being 0. */
  readonly layer: number;
  readonly layerDigest: string;
  /** The file's place among the entries of the layer's tar. */
  readonly entry: number;
  /** Bytes of the file. */
  readonly size: number;
}

/** What reading a file would cost now. */
export interface ImageFilePlan extends ReadPlan, ImageFileLocation {}

/** A layer without a ztoc, which is read once as a whole before any file of the image can be found. */
export interface WholeLayer {
  readonly layer: number;
  readonly layerDigest: string;
  /** Of the layer as it is stored. */
  readonly bytes: number;
}

/** What reading any file would cost first. What the file then costs is not known before. */
export interface WholeLayersPlan {
  readonly wholeLayers: readonly WholeLayer[];
  readonly requests: number;
  readonly bytes: number;
}
