/**
 * One tree that is unpacked: the tables that say what is in it, the directory that
 * has it, and everything under way between them.
 */

import type { FileHandle } from 'node:fs/promises';
import { AbortScope, type Operation } from '../async/abort-scope.js';
import { TREE_OPERATION } from '../native-tree.js';
import type { EntryFields } from '../tar/entry.js';
import { Overlay, type Whiteouts } from '../tree/overlay.js';
import { setDirectoryAttributes } from './directory-attributes.js';
import type { OpenExecutor } from './executors.js';
import { LayerPass, type LayerToUnpack, type LazyLayer, type PassedLayer } from './layer-pass.js';
import type { PartialDirectory } from './partial-directory.js';
import { TarContents } from './tar-contents.js';
import { type SkippedAttributes, TreeWriting } from './tree-writing.js';
import { UnpackMemory } from './unpack-memory.js';
import type { UnpackSettings } from './unpack-options.js';
import { UnpackedTree } from './unpacked-tree.js';

/** Where it goes, and what becomes of whiteouts. */
export interface UnpackedPlace {
  readonly partial: PartialDirectory;
  /** Of a directory in it; '' is itself. */
  readonly name: string;
  readonly whiteouts: Whiteouts;
}

interface Parts {
  /** Is closed with it. */
  readonly root: FileHandle;
  readonly operation: Operation;
  readonly whiteouts: Whiteouts;
}

export class TreeUnpacking {
  readonly overlay: Overlay;
  readonly #root: FileHandle;
  readonly #settings: UnpackSettings;
  readonly #openExecutor: OpenExecutor;
  readonly #operation: Operation;
  readonly #tree: UnpackedTree;
  readonly #writing: TreeWriting;
  readonly #memory: UnpackMemory;
  readonly #contents: TarContents[] = [];

  /** @throws SociError ERR_SOCI_OUTPUT; the signal's reason */
  static async open(
    { partial, name, whiteouts }: UnpackedPlace,
    settings: UnpackSettings,
    openExecutor: OpenExecutor,
    signal: AbortSignal | undefined,
  ): Promise<TreeUnpacking> {
    const operation = new AbortScope().begin(signal);
    try {
      const root = await partial.open(name);
      return new TreeUnpacking({ root, operation, whiteouts }, settings, openExecutor);
    } catch (error) {
      operation.end();
      throw error;
    }
  }

  private constructor(
    { root, operation, whiteouts }: Parts,
    settings: UnpackSettings,
    openExecutor: OpenExecutor,
  ) {
    const { directory, bounds, heldBytes, context, owners, semantics } = settings;
    this.#root = root;
    this.#settings = settings;
    this.#openExecutor = openExecutor;
    this.#operation = operation;
    this.#memory = context.part(UnpackMemory);
    this.#memory.begin();
    const share = (): number => this.#memory.share(heldBytes);
    this.#writing = new TreeWriting(directory, share, failure => operation.abort(failure));
    this.#tree = new UnpackedTree(this.#writing, owners, bounds.limits);
    this.overlay = new Overlay(this.#tree, whiteouts, semantics);
  }

  get skipped(): Readonly<SkippedAttributes> {
    return this.#writing.skipped;
  }

  /** Puts the next layer on top. Its files may still be on their way to the disk when it settles. */
  async add(given: LayerToUnpack | LazyLayer, position: number): Promise<PassedLayer> {
    const { signal } = this.#operation;
    const layer = typeof given === 'function' ? await given(signal) : given;
    const { ztoc, bounds, context, onProgress } = this.#settings;
    const contents = this.#begin();
    const pass = new LayerPass(layer, {
      position,
      overlay: this.overlay,
      tree: this.#tree,
      writing: this.#writing,
      contents,
      bounds,
      ztoc,
      context,
      onProgress: progress => onProgress({ layer: position, ...progress }),
    });
    return await pass.run(signal);
  }

  /**
   * All layers have been added; settles when everything is on the file system.
   *
   * @param lower what is said of directories that these do not declare
   */
  async finish(lower: (path: string) => readonly EntryFields[] | undefined): Promise<void> {
    const { owners, privileged, sync } = this.#settings;
    const contents = this.#contents.at(-1) ?? this.#begin();
    const opaque = privileged ? 'trusted' : 'user';
    const options = { writing: this.#writing, contents, owners, opaque, lower } as const;
    await setDirectoryAttributes(this.#tree, options, this.#operation.signal);
    if (!sync) return;
    this.#writing.perform({ kind: TREE_OPERATION.SYNC, path: '' }, contents);
    await this.#writing.settled();
  }

  /** @param failure why nothing more is to be done, if that is so */
  async close(failure?: unknown): Promise<void> {
    if (failure !== undefined) this.#writing.abort(failure);
    await Promise.all(this.#contents.map(contents => contents.close().catch(() => {})));
    await this.#root.close().catch(() => {});
    this.#memory.end();
    this.#operation.end();
  }

  /** The contents of the next layer; those of the one before are given up as soon as they are written. */
  #begin(): TarContents {
    const { setsOwners: owners, privileged } = this.#settings;
    this.#contents
      .at(-1)
      ?.close()
      .catch(() => {}); // reported by nobody: all is written
    const contents = new TarContents(this.#openExecutor({ root: this.#root.fd, owners, privileged }));
    this.#contents.push(contents);
    return contents;
  }
}
