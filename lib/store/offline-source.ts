/** What a blob is fetched from while nothing may be fetched: whoever gets here wants what the store does not have. */
import { SociError } from '../errors.js';
import { FilledSource } from '../source/range-source.js';

export class OfflineSource extends FilledSource {
  readonly name: string;
  readonly size: number;
  readonly #digest: string;

  /** @param name what messages call the blob */
  constructor(name: string, { digest, size }: { readonly digest: string; readonly size: number }) {
    super();
    this.name = name;
    this.size = size;
    this.#digest = digest;
  }

  async readInto(target: Uint8Array, offset: number): Promise<void> {
    const [digest, length] = [this.#digest, target.length];
    const what = `${this.name}: bytes ${offset} to ${offset + length - 1} of ${this.size} are wanted`;
    throw offline(what, { digest, offset, length });
  }

  async close(): Promise<void> {}
}

/** @param what is wanted, as a sentence. @param data what it is, for programs */
export function offline(what: string, data: Readonly<Record<string, unknown>>): SociError {
  const message = `${what}, but not in the store, and offline nothing is fetched`;
  return new SociError('ERR_SOCI_OFFLINE', message, { data });
}
