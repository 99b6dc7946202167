/**
 * The room that the layers of one image may unpack to, all of them together: a
 * few kilobytes of zstd are gigabytes, and an image has many layers.
 */
import { SociError } from '../errors.js';

export class UnpackBudget {
  readonly #limit: number;
  #left: number;

  /** @param limit `limits.maxUnpackedBytes` */
  constructor(limit: number) {
    this.#limit = limit;
    this.#left = limit;
  }

  /** @throws SociError ERR_SOCI_LIMIT when that is more than is left; nothing is taken then */
  take(bytes: number, layer: string): void {
    if (bytes > this.#left) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${layer}: the layers of the image unpack to more than ${this.#limit} bytes (limits.maxUnpackedBytes)`,
        { data: { limit: 'maxUnpackedBytes', expected: this.#limit } },
      );
    }
    this.#left -= bytes;
  }

  /** For what has been thrown away again. */
  giveBack(bytes: number): void {
    this.#left += bytes;
  }
}
