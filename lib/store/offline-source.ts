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
    throw offline(`${this.name}: bytes ${offset} to ${offset + length - 1} of ${this.size}`, {
      digest,
      offset,
      length,
    });
  }

  async close(): Promise<void> {}
}

/** @param what is missing. @param data where it would be found */
export function offline(what: string, data: Readonly<Record<string, unknown>>): SociError {
  const message = `${what} are wanted, the store does not have them, and offline nothing is fetched; read them once with the registry at hand`;
  return new SociError('ERR_SOCI_OFFLINE', message, { data });
}
