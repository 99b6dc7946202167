/**
 * Where the readings of a layer differ. Overlay runtimes unpack each layer by
 * itself and let the kernel put them on top of each other; the specification
 * speaks of one file system that changes layer by layer. For nearly all layers
 * that is the same; for the rest each difference is noted, and so is what a
 * runtime refuses to unpack (containerd 2.1, which then starts nothing).
 */
import { decodeByteString } from '../tar/byte-string.js';

/**
 * Whose reading of layers a tree follows: that of overlay runtimes (containerd's overlayfs snapshotter, docker's
 * overlay2, podman's overlay), so of what a container sees; or that of the OCI image specification (layer.md).
 */
export type Semantics = 'overlay' | 'spec';

interface Reading {
  /** What overlay runtimes do; 'refused': they do not unpack the layer, and the specification is followed. */
  readonly overlay: string;
  readonly spec: string;
}

const READINGS = {
  'path through a lower link': {
    overlay: 'a directory takes the place of the symbolic link that a lower layer has there',
    spec: 'the symbolic link of the lower layer is followed',
  },
  'directory after its whiteout': {
    overlay: 'what lower layers have in the directory is there again',
    spec: 'the directory has what its own layer has in it, and nothing of lower layers',
  },
  'whiteout device': {
    overlay: 'a device 0/0 hides what lower layers have under its name',
    spec: 'there is a device 0/0',
  },
  'link to a hidden file': {
    overlay: 'neither the link nor what it leads to is there',
    spec: 'there is a name without a file',
  },
  'whiteout after its entry': { overlay: 'refused', spec: 'what the layer itself has stays' },
  'link to a lower file': { overlay: 'refused', spec: 'there is a link to the file of the lower layer' },
  'link to nothing': { overlay: 'refused', spec: 'there is a name without a file' },
  'link to itself': { overlay: 'refused', spec: 'what the lower layer has there stays' },
  'path through a file': { overlay: 'refused', spec: 'a directory takes the place of the file' },
  'whiteout below a file': { overlay: 'refused', spec: 'the file stays, and the whiteout hides nothing' },
  'path through a whiteout': { overlay: 'refused', spec: 'the directory is made anew' },
  'whiteout of no name': { overlay: 'refused', spec: 'it hides nothing' },
} as const satisfies Readonly<Record<string, Reading>>;

export type NoteKind = keyof typeof READINGS;

/** A place of a layer that the readings differ about. */
export interface LayerNote extends Reading {
  readonly kind: NoteKind;
  /** Position of the layer, the lowest being 0. */
  readonly layer: number;
  /** From the root of the image; bytes that are no UTF-8 are replaced by U+FFFD. */
  readonly path: string;
}

/** A hostile layer may have a million of them; the first say what kind of image it is. */
const MAX_NOTES = 1000;

export class LayerNotes {
  readonly #notes: LayerNote[] = [];

  get all(): readonly LayerNote[] {
    return this.#notes;
  }

  /** @param path gives a byte string; it is asked for only when there is room for one more */
  add(kind: NoteKind, layer: number, path: () => string): void {
    if (this.#notes.length >= MAX_NOTES) return;
    this.#notes.push({ kind, layer, path: decodeByteString(path()), ...READINGS[kind] });
  }
}

/** What a note is made of again: the readings follow from its kind. */
export type NotePlace = Pick<LayerNote, 'kind' | 'layer' | 'path'>;

/** Notes of an image of `layerCount` layers that were written down; undefined when these are none. */
export function notesAt(places: unknown, layerCount: number): readonly LayerNote[] | undefined {
  if (!Array.isArray(places) || places.length > MAX_NOTES) return undefined;
  const notes: LayerNote[] = [];
  for (const place of places as readonly (Partial<NotePlace> | null)[]) {
    const { kind, layer, path } = place ?? {};
    if (kind === undefined || !Object.hasOwn(READINGS, kind) || typeof path !== 'string') return undefined;
    if (!Number.isSafeInteger(layer) || layer === undefined || layer < 0 || layer >= layerCount)
      return undefined;
    notes.push({ kind, layer, path, ...READINGS[kind] });
  }
  return notes;
}
