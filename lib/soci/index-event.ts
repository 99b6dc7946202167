/** What creating, converting, pushing and copying indexes report while they work, for progress bars and logs. */
import type { Descriptor } from '../registry/descriptor.js';
import type { PushResult } from '../registry/repository.js';
import type { SkipReason } from './layer-choice.js';

/**
 * Where a ztoc comes from: from an index that is taken at its word; from an index, and verified against the layer;
 * from what this installation has built before; built now.
 */
export type ZtocOrigin = 'index' | 'verified' | 'cache' | 'built';

export type IndexEvent =
  /** A layer is about to be read: `layer.size` bytes. */
  | { readonly type: 'layer-started'; readonly layer: Descriptor }
  /** `bytes` of the layer have been read so far; a second pass starts from 0 again. */
  | { readonly type: 'layer-progress'; readonly layer: Descriptor; readonly bytes: number }
  | {
      readonly type: 'layer-done';
      readonly layer: Descriptor;
      readonly origin: ZtocOrigin;
      readonly ztocDigest: string;
      readonly ztocSize: number;
    }
  | {
      readonly type: 'layer-skipped';
      readonly layer: Descriptor;
      readonly reason: SkipReason;
      readonly message: string;
    }
  /** A ztoc that was there already does not describe the layer, or is none; one is built instead. */
  | {
      readonly type: 'ztoc-refused';
      readonly layer: Descriptor;
      readonly ztocDigest: string;
      readonly error: Error;
    }
  /** The ztoc could not be kept in the cache; nothing else is wrong. */
  | { readonly type: 'cache-failed'; readonly layer: Descriptor; readonly error: Error }
  /** No layer with a ztoc has this file. */
  | { readonly type: 'prefetch-missing'; readonly image: Descriptor; readonly path: string }
  | { readonly type: 'blob-progress'; readonly blob: Descriptor; readonly bytes: number }
  | { readonly type: 'blob-pushed'; readonly blob: Descriptor; readonly result: PushResult }
  | { readonly type: 'manifest-pushed'; readonly manifest: Descriptor; readonly tag?: string }
  /** The image has other indexes already. */
  | {
      readonly type: 'index-exists';
      readonly subject: Descriptor;
      readonly existing: readonly Descriptor[];
      readonly action: 'pushed' | 'skipped';
    }
  /** The registry does not say whether the image has other indexes; the new one is pushed. */
  | { readonly type: 'existing-unknown'; readonly subject: Descriptor; readonly error: Error };

/** Called synchronously; what it throws ends the work. */
export type IndexEventHandler = (event: IndexEvent) => void;
