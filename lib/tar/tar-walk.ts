/**
 * The entries of a tar stream as its bytes come along. Data pass by unread, and
 * of what was pushed only the header under way is kept.
 */
import { SociError } from '../errors.js';
import { BLOCK_SIZE, isZeroBlock } from './header-block.js';
import { type ParsedEntry, TarHeaderParser } from './header-parser.js';
import type { TarPolicy } from './policy.js';

export class TarWalk {
  readonly #parser: TarHeaderParser;
  readonly #onEntry: (entry: ParsedEntry) => void;
  /** Of the next byte that will be pushed. */
  #position = 0;
  #gathered: Uint8Array[] = [];
  #needed: number = BLOCK_SIZE;
  /** One block of zeros was seen, which may be the first of the two that end an archive. */
  #zeros = false;
  #end: number | undefined;

  constructor(policy: TarPolicy, onEntry: (entry: ParsedEntry) => void) {
    this.#parser = new TarHeaderParser(0, policy);
    this.#onEntry = onEntry;
  }

  /** @throws SociError ERR_SOCI_TAR_HEADER, ERR_SOCI_TAR_UNSUPPORTED, ERR_SOCI_LIMIT; what `onEntry` throws */
  push(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0 && this.#end === undefined) {
      const skipped = Math.max(0, Math.min(this.#parser.position - this.#position, rest.length));
      const taken = rest.subarray(skipped, skipped + this.#needed);
      rest = rest.subarray(skipped + taken.length);
      this.#position += skipped + taken.length;
      if (taken.length === 0) return;
      this.#needed -= taken.length;
      // Kept across calls only when it is incomplete, and then as a copy: the producer may reuse its chunk.
      this.#gathered.push(this.#needed > 0 ? new Uint8Array(taken) : taken);
      if (this.#needed === 0) this.#handle(this.#takeGathered());
    }
    this.#position += rest.length;
  }

  /** Where the archive ends in the stream. @throws SociError ERR_SOCI_LAYER_TRUNCATED */
  finish(): number {
    if (this.#end !== undefined) return this.#end;
    const between = this.#parser.expectsHeader && this.#gathered.length === 0;
    if (between && this.#position >= this.#parser.contentEnd) return this.#position;
    throw new SociError(
      'ERR_SOCI_LAYER_TRUNCATED',
      `the tar stream ends at byte ${this.#position}, in the middle of an entry`,
      { data: { offset: this.#position } },
    );
  }

  #takeGathered(): Uint8Array {
    const [first = new Uint8Array(0), ...others] = this.#gathered;
    this.#gathered = [];
    return others.length === 0 ? first : Buffer.concat([first, ...others]);
  }

  #handle(bytes: Uint8Array): void {
    if (this.#parser.expectsHeader && isZeroBlock(bytes)) {
      if (this.#zeros) this.#end = this.#position;
      this.#zeros = true;
    } else {
      // Throws what a lone block of zeros is.
      const record = this.#zeros ? new Uint8Array(BLOCK_SIZE) : bytes;
      const found = this.#parser.push({ offset: this.#parser.position, bytes: record });
      if (found !== undefined) this.#onEntry(found);
    }
    this.#needed = this.#parser.expectedLength;
  }
}
