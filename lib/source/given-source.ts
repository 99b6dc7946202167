/**
 * Sources that callers bring along. Those that were written when `read` was the
 * primitive, or have nothing better, need no `readInto`: here they get one.
 */
import { SociError } from '../errors.js';
import type { LinkEstimate } from './link-estimate.js';
import { FilledSource, type RangeSource, type ReadOptions, type SourceKeeping } from './range-source.js';

/** A RangeSource, or one that can only `read`. */
export type GivenSource = Omit<RangeSource, 'readInto'> & Partial<Pick<RangeSource, 'readInto'>>;

/** The same source, complete. */
export function completeSource(given: GivenSource): RangeSource {
  return given.readInto === undefined ? new CopiedSource(given) : (given as RangeSource);
}

/** Bytes that arrive in memory of the source's own, copied to where they are wanted. */
class CopiedSource extends FilledSource {
  readonly ownMemory = true;
  readonly #given: GivenSource;

  constructor(given: GivenSource) {
    super();
    this.#given = given;
  }

  get size(): number {
    return this.#given.size;
  }

  get name(): string {
    return this.#given.name;
  }

  get keeping(): SourceKeeping | undefined {
    return this.#given.keeping;
  }

  get link(): LinkEstimate | undefined {
    return this.#given.link;
  }

  override read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array> {
    return this.#given.read(offset, length, options);
  }

  async readInto(target: Uint8Array, offset: number, options: ReadOptions = {}): Promise<void> {
    const bytes = await this.#given.read(offset, target.length, options);
    options.signal?.throwIfAborted();
    if (bytes.length !== target.length) {
      throw new SociError(
        'ERR_SOCI_SOURCE_SHORT',
        `${this.name}: expected ${target.length} bytes from ${offset}, received ${bytes.length}`,
        { data: { offset, expected: target.length, received: bytes.length } },
      );
    }
    target.set(bytes);
  }

  override async *stream(options?: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.#given.stream(options);
  }

  close(): Promise<void> {
    return this.#given.close();
  }
}
