/**
 * Owners as they are on this machine, where the image's own stand for others: the
 * maps of a user namespace (user_namespaces(7)). An id that no map has would
 * belong to nobody in the container, so it is an error, as in umoci.
 */
import { checkInteger, checkOptions, type OptionNames } from '../arguments.js';
import { invalidArgument, SociError } from '../errors.js';
import { quoteByteString } from '../tar/byte-string.js';

/** `size` ids from `container` on are those from `host` on. */
export interface IdRange {
  readonly container: number;
  readonly host: number;
  readonly size: number;
}

const RANGE_NAMES: OptionNames<IdRange> = { container: true, host: true, size: true };
/** 2^32-1 is no id (chown(2)). */
const IDS = 2 ** 32 - 1;

export class IdMap {
  readonly #name: string;
  /** Ascending, and not overlapping. */
  readonly #ranges: readonly IdRange[] | undefined;

  /**
   * @param name of the option, 'uidMap' or 'gidMap'
   * @param ranges undefined: ids are what they are
   * @throws SociError ERR_SOCI_INVALID_ARGUMENT
   */
  constructor(name: string, ranges: readonly IdRange[] | undefined) {
    this.#name = name;
    if (ranges !== undefined && !Array.isArray(ranges)) {
      throw invalidArgument(name, 'a list of { container, host, size }', ranges);
    }
    for (const range of ranges ?? []) {
      checkOptions(name, range, RANGE_NAMES);
      checkInteger(`${name}.size`, range.size, 1, IDS);
      checkInteger(`${name}.container`, range.container, 0, IDS - range.size);
      checkInteger(`${name}.host`, range.host, 0, IDS - range.size);
    }
    this.#ranges = ranges && [...ranges].sort((a, b) => a.container - b.container);
    for (const [i, { container }] of (this.#ranges ?? []).entries()) {
      const before = this.#ranges?.[i - 1];
      if (before === undefined || before.container + before.size <= container) continue;
      throw invalidArgument(name, 'ranges that do not overlap', container);
    }
  }

  /** @param path whose id it is, for the message. @throws SociError ERR_SOCI_ID_UNMAPPED */
  toHost(id: number, path: string): number {
    if (this.#ranges === undefined) return id;
    for (const { container, host, size } of this.#ranges) {
      if (id >= container && id < container + size) return host + id - container;
    }
    throw new SociError(
      'ERR_SOCI_ID_UNMAPPED',
      `${quoteByteString(`/${path}`)}: expected an owner that ${this.#name} has, found ${id}`,
      { data: { map: this.#name, id } },
    );
  }
}
