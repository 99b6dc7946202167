/**
 * The seam between "where a layer's bytes are" and everything that reads them.
 * A new transport is a new RangeSource; nothing above it changes.
 */

export interface AbortableOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface RangeSource {
  /** Length of the object in bytes. */
  readonly size: number;

  /** What errors and progress bars call it: a path or a URL without credentials or query values. */
  readonly name: string;

  /**
   * Reads exactly `length` bytes from `offset` (both in bytes of the stored,
   * i.e. compressed, object).
   *
   * @throws SociError ERR_SOCI_SOURCE_RANGE when [offset, offset + length) is
   *   not inside the object; ERR_SOCI_SOURCE_SHORT when fewer bytes arrive;
   *   ERR_SOCI_SOURCE_CHANGED when the object is not the one that was opened.
   *   An aborted read rejects with the signal's reason.
   */
  read(offset: number, length: number, options?: AbortableOptions): Promise<Uint8Array>;

  /**
   * Fills all of `target` from `offset`, for callers that read again and again into the same memory: once it has
   * settled nothing may be written there any more. Fails as `read` does.
   */
  readInto?(target: Uint8Array, offset: number, options?: AbortableOptions): Promise<void>;

  /** The whole object from its first byte to its last, in chunks of any size. */
  stream(options?: AbortableOptions): AsyncIterable<Uint8Array>;

  /** Frees what the source holds. Reads under way reject with ERR_SOCI_CLOSED; closing twice is no error. */
  close(): Promise<void>;
}
