/**
 * Merged trees in a store. A tree is made of tables of contents and of the rules by
 * which they are put together, and of nothing else: where both are the same, it is
 * read back instead of made again. It is a blob like any other; which one was made
 * of which ztocs is an answer. Neither is trusted: what has not its digest is none,
 * and what has it is checked as everything that claims to be a tree.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { SociError } from '../errors.js';
import { publish } from '../observe/channels.js';
import { isDigest } from '../registry/digest.js';
import type { Question } from '../store/answers.js';
import type { Store } from '../store/store.js';
import type { BuildTreeOptions } from '../tree/build-tree.js';
import { type LayerNote, type NotePlace, notesAt } from '../tree/layer-note.js';
import { checkTreeInSlices } from '../tree/tree-check.js';
import { type TreeTable, VERSION } from '../tree/tree-table.js';
import { BUILD_TOOL_IDENTIFIER } from '../ztoc/build-tool.js';

/** A tree with fewer names is made in about the time that it takes to read one. */
const MIN_NAMES = 512;
/** As many names as a tree has at most, unless something else is said, take up less. */
const MAX_TREE_BYTES = 2 ** 30;
/** Names that are checked between two turns of the event loop: a few milliseconds. */
const SLICE = 16_384;
/** Hashed in about a millisecond. */
const CHUNK_BYTES = 2 ** 20;

/** A tree that the store says to have. */
export interface KnownTree {
  /** Of its ztocs. */
  readonly ztocs: readonly string[];
  readonly digest: string;
  readonly size: number;
  readonly notes: readonly LayerNote[];
}

/** One that it has. */
export interface KeptTree {
  /** Of which it was made, the lowest layer's first. */
  readonly ztocs: readonly string[];
  readonly table: TreeTable;
  readonly notes: readonly LayerNote[];
}

export class KeptTrees {
  readonly #store: Store;
  readonly #rules: readonly string[];

  constructor(store: Store, { whiteouts, semantics, maxNames }: BuildTreeOptions) {
    this.#store = store;
    // What a release makes of layers the next one may make otherwise.
    this.#rules = [BUILD_TOOL_IDENTIFIER, `${VERSION}`, whiteouts, semantics, `${maxNames}`];
  }

  /** The tree of layers with these ztocs, the lowest layer's first; undefined when none is known. */
  async known(ztocs: readonly string[]): Promise<KnownTree | undefined> {
    const value = (await this.#store.recall(this.#question(ztocs)))?.value;
    if (typeof value !== 'object' || value === null) return undefined;
    const { digest, size, notes: places } = value as Readonly<Record<string, unknown>>;
    const notes = notesAt(places, ztocs.length);
    if (typeof digest !== 'string' || !isDigest(digest) || notes === undefined) return undefined;
    if (!Number.isSafeInteger(size) || (size as number) > MAX_TREE_BYTES) return undefined;
    return { ztocs, digest, size: size as number, notes };
  }

  /** Undefined when it is not there any more, or damaged. */
  async read({ ztocs, digest, size, notes }: KnownTree): Promise<KeptTree | undefined> {
    const bytes = await this.#store.get(digest, size);
    if (bytes === undefined) return undefined;
    try {
      return { ztocs, table: await checked(bytes, ztocs.length), notes };
    } catch (error) {
      if (!(error instanceof SociError)) throw error;
      publish('seekable-oci:store:damage', () => ({ digest, bytes: bytes.length }));
      return undefined;
    }
  }

  /** Keeps a tree that was made, unless making it again is no work. Fails nothing. */
  async keep({ ztocs, table, notes }: KeptTree): Promise<void> {
    const { bytes, nameCount } = table;
    if (this.#store.readOnly || nameCount < MIN_NAMES || bytes.length > MAX_TREE_BYTES) return;
    const digest = await digestOf(bytes);
    const places = notes.map(({ kind, layer, path }): NotePlace => ({ kind, layer, path }));
    try {
      await this.#store.put(digest, bytes);
      if (!(await this.#store.has(digest))) return;
      await this.#store.remember(this.#question(ztocs), { digest, size: bytes.length, notes: places });
    } catch (error) {
      // The store was closed before the image.
      if (!(error instanceof SociError)) throw error;
    }
  }

  #question(ztocs: readonly string[]): Question {
    return ['tree', ...this.#rules, ...ztocs];
  }
}

/** In slices, so that the thread can do other things in between. @throws SociError ERR_SOCI_TREE_FORMAT */
async function checked(bytes: Uint8Array, layerCount: number): Promise<TreeTable> {
  const steps = checkTreeInSlices(bytes, layerCount, SLICE);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return step.value;
    await setImmediate();
  }
}

/** In pieces, for the same reason. */
async function digestOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    hash.update(bytes.subarray(at, at + CHUNK_BYTES));
    await setImmediate();
  }
  return `sha256:${hash.digest('hex')}`;
}
