/** What an image is made of when it is opened, before any of its layers is. */
import type { PlatformManifest } from '../registry/image-entry.js';
import type { Repository } from '../registry/repository.js';
import type { IndexSearch } from '../soci/find-index.js';
import type { ReadContext } from '../span/read-context.js';
import type { Store } from '../store/store.js';
import type { BuildTreeOptions } from '../tree/build-tree.js';
import type { ImageConfig } from './image-config.js';
import type { ImageLayer } from './image-layer.js';

export interface ImageParts {
  /** What messages call it. */
  readonly name: string;
  readonly content: PlatformManifest;
  readonly config: ImageConfig | undefined;
  readonly index: IndexSearch | undefined;
  /** The lowest first; a layer that is there twice is the same object twice. */
  readonly layers: readonly ImageLayer[];
  readonly tree: BuildTreeOptions;
  readonly repository: Repository;
  readonly context: ReadContext;
  /** What is read of a registry's image is kept there. */
  readonly store: Store | undefined;
  /** Ztocs that are asked for before a layer wants them. */
  readonly ztocs: ZtocsAhead;
  /** Frees what belongs to the image alone. */
  readonly release: () => Promise<void>;
}

export interface ZtocsAhead {
  /** Once, all of them; whether that has been done already is for it to know. */
  ask(): void;
  /** Those that no layer has wanted. */
  callOff(): void;
}
