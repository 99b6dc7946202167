/**
 * What all layers that are unpacked in a context may hold of their tars together:
 * each has an equal share. It is no lease of the memory for spans: layers that are
 * decoded by spans take those while they hold this, and would wait for each other.
 */
const DEFAULT_BYTES = 64 * 2 ** 20;
/** What one run of the indexer may add, twice. */
const LEAST_BYTES = 8 * 2 ** 20;

export class UnpackMemory {
  #layers = 0;

  /** Bytes for each layer that is under way. */
  share(bytes: number = DEFAULT_BYTES): number {
    return Math.max(LEAST_BYTES, Math.floor(bytes / Math.max(1, this.#layers)));
  }

  begin(): void {
    this.#layers++;
  }

  end(): void {
    this.#layers--;
  }
}
