/**
 * Layers of an image between who brings them and who unpacks them: blobs come in
 * any order and once each, layers are unpacked each in its place, and one blob may
 * be several layers. A blob is held until it has been unpacked at all of them.
 */
import { abortable } from '../async/abortable.js';
import type { PulledBlob } from './pull-target.js';

class AwaitedBlob {
  /** Places that it has not been unpacked at. */
  left = 0;
  readonly blob: Promise<PulledBlob>;
  readonly unpacked: Promise<void>;
  arrive: (blob: PulledBlob) => void = () => {};
  end: () => void = () => {};

  constructor() {
    this.blob = new Promise(resolve => {
      this.arrive = resolve;
    });
    this.unpacked = new Promise(resolve => {
      this.end = resolve;
    });
  }
}

export class AwaitedLayers {
  readonly #blobs = new Map<string, AwaitedBlob>();

  /** @param digests of all layers, in their order */
  constructor(digests: readonly string[]) {
    for (const digest of digests) {
      const blob = this.#blobs.get(digest) ?? new AwaitedBlob();
      blob.left++;
      this.#blobs.set(digest, blob);
    }
  }

  /** A blob is here. @returns what settles when it is not needed any more; undefined for what is no layer */
  arrived(blob: PulledBlob): Promise<void> | undefined {
    const awaited = this.#blobs.get(blob.descriptor.digest);
    awaited?.arrive(blob);
    return awaited?.unpacked;
  }

  /** The blob of a layer, once it is here. @throws the signal's reason */
  async take(digest: string, signal: AbortSignal): Promise<PulledBlob> {
    return await abortable((this.#blobs.get(digest) as AwaitedBlob).blob, signal);
  }

  /** A layer has been unpacked at one of its places. */
  unpacked(digest: string): void {
    const awaited = this.#blobs.get(digest) as AwaitedBlob;
    awaited.left--;
    if (awaited.left === 0) awaited.end();
  }
}
