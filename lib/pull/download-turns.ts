/**
 * Turns of the downloads of an image, which are bounded by themselves and
 * together with those of all other images of the context. Who waits for the
 * second holds the first, and gives it back however his wait ends.
 */
import type { PullLimits } from '../configuration/pull-presets.js';
import { LaneGate } from '../source/lanes.js';

/** Places that are given out in the order in which they were asked for. The wish is how many there are. */
export class DownloadPlaces extends LaneGate<number> {
  #taken = 0;

  async hold<T>(places: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (places > 0) await this.enter(places, { signal });
    else this.#taken++;
    try {
      return await work();
    } finally {
      this.#taken--;
      this.admit();
    }
  }

  protected override fits(places: number): boolean {
    return this.#taken < places;
  }

  protected override take(): void {
    this.#taken++;
  }
}

/** The same, of layers that are unpacked. */
export class UnpackPlaces extends DownloadPlaces {}

export class DownloadTurns {
  readonly #limits: PullLimits;
  readonly #shared: DownloadPlaces;
  readonly #own = new DownloadPlaces();

  /** @param shared those of all images of a context */
  constructor(limits: PullLimits, shared: DownloadPlaces) {
    this.#limits = limits;
    this.#shared = shared;
  }

  /** Does `work` when it is its turn. @throws the signal's reason; what `work` throws */
  take<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { maxConcurrentDownloads, maxConcurrentDownloadsPerImage } = this.#limits;
    return this.#own.hold(maxConcurrentDownloadsPerImage, signal, () =>
      this.#shared.hold(maxConcurrentDownloads, signal, work),
    );
  }
}
