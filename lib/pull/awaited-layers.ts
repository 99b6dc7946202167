/**
 * Layers of an image between who brings them and who unpacks them: blobs come in
 * any order and once each, layers are unpacked each in its place, and one blob may
 * be several layers. A blob is held while it is unpacked and no longer: its next
 * place may be above layers that only come when it has made room for them, so
 * there it is opened anew.
 */
import { abortable } from '../async/abortable.js';
import { openedStream } from './opened-stream.js';
import type { PulledBlob } from './pull-target.js';

class AwaitedBlob {
  /** Places that it is wanted at, and not unpacked. */
  taken = 0;
  isOver = false;
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
    for (const digest of new Set(digests)) this.#blobs.set(digest, new AwaitedBlob());
  }

  /** A blob is here. @returns what settles when it is not needed any more; undefined for what is no layer */
  arrived(blob: PulledBlob): Promise<void> | undefined {
    const awaited = this.#blobs.get(blob.descriptor.digest);
    awaited?.arrive(blob);
    return awaited?.unpacked;
  }

  /** The blob of a layer that is to be unpacked, once it is here. @throws the signal's reason */
  async take(digest: string, signal: AbortSignal): Promise<PulledBlob> {
    const awaited = this.#blobs.get(digest) as AwaitedBlob;
    awaited.taken++;
    const blob = await abortable(awaited.blob, signal);
    return awaited.isOver ? { ...blob, stream: options => openedStream(blob, options) } : blob;
  }

  /** Settles when the whole blob of a layer is known to be it. @throws the signal's reason */
  async whole(digest: string, signal: AbortSignal): Promise<void> {
    const { blob } = this.#blobs.get(digest) as AwaitedBlob;
    await (await abortable(blob, signal)).whole(signal);
  }

  /** A layer that was taken has been unpacked. */
  unpacked(digest: string): void {
    const awaited = this.#blobs.get(digest) as AwaitedBlob;
    awaited.taken--;
    if (awaited.taken > 0) return;
    awaited.isOver = true;
    awaited.end();
  }
}
