/**
 * How the calls on an image come by a tree to answer from: the first question about
 * one path by the layers on which it depends, all else by the merged tree, which is
 * made once. Whatever is under way ends with the image.
 */
import { isDeepStrictEqual } from 'node:util';
import { AbortScope } from '../async/abort-scope.js';
import { runBounded } from '../async/bounded-tasks.js';
import { SharedOnce } from '../async/once.js';
import { Pace } from '../async/pace.js';
import { closedError } from '../source/byte-range.js';
import type { AbortableOptions } from '../source/range-source.js';
import { buildTree } from '../tree/build-tree.js';
import { FileTree } from '../tree/file-tree.js';
import { type ImagePath, type LookupHow, lookUpFile } from '../tree/path-lookup.js';
import { isPureArtifact, noFilesError } from './artifact.js';
import { FileContent } from './file-content.js';
import { firstLook } from './first-look.js';
import { type ImageLayer, LAYERS_AT_ONCE, type OpenedLayer } from './image-layer.js';
import type { ImageParts } from './image-parts.js';
import { type KeptTree, KeptTrees, type KnownTree } from './kept-trees.js';

export class ImageTrees {
  readonly #parts: ImageParts;
  readonly #scope = new AbortScope();
  readonly #tree: SharedOnce<FileTree>;
  readonly #pace = new Pace();
  readonly #kept: KeptTrees | undefined;
  #known: Promise<KnownTree | undefined> | undefined;
  #asked = false;
  /** Settles when a tree that was made is kept. */
  #keeping: Promise<void> | undefined;

  constructor(parts: ImageParts) {
    this.#parts = parts;
    this.#tree = new SharedOnce(signal => this.#merge(signal));
    this.#kept = parts.store && new KeptTrees(parts.store, parts.tree);
  }

  /** Of all layers, once it has been made. */
  get merged(): FileTree | undefined {
    return this.#tree.value;
  }

  /**
   * A question about one path that needs no numbers and attributes. The first one is answered by the layers on which it
   * depends, unless the tree has been merged before; who asks again will ask for more, and the tree is merged.
   */
  async at<T>(
    path: ImagePath,
    options: AbortableOptions,
    { followLast }: Pick<LookupHow, 'followLast'>,
    body: (tree: FileTree, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { layers, content, tree, ztocs } = this.#parts;
    // By the specification a link of a lower layer may lead entries of the upper ones anywhere.
    const canTell = tree.whiteouts === 'apply' && tree.semantics === 'overlay';
    if (this.#asked || !canTell || isPureArtifact(content.manifest)) return await this.with(options, body);
    this.#asked = true;
    if (!this.#tree.begun) ztocs.ask();
    const { maxNames } = tree;
    return await this.run(options, async signal => {
      const merge = (abort: AbortSignal): Promise<FileTree> => this.#tree.get(abort);
      const isMerging = (): boolean => this.#tree.begun;
      const found =
        (await this.#knownTree()) === undefined
          ? await firstLook(layers, { path, followLast, maxNames, merge, isMerging }, signal)
          : await merge(signal);
      ztocs.callOff();
      return await body(found, signal);
    });
  }

  /** A question to the merged tree. */
  async with<T>(
    options: AbortableOptions,
    body: (tree: FileTree, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.#asked = true;
    if (!this.#tree.begun) this.#parts.ztocs.ask();
    return await this.run(options, async signal => {
      const tree = await this.#tree.get(signal);
      // Most calls are answered from the tree at once, and loops of them would keep everything else waiting.
      await this.#pace.step(signal);
      return await body(tree, signal);
    });
  }

  /** Begins the merged tree when all ztocs are in the store: files of this image were read before, and will be again. */
  prepare(): void {
    const { layers, store } = this.#parts;
    this.run({}, async signal => {
      const there = layers.map(({ description }) => store?.has(description.ztoc?.digest ?? ''));
      if ((await Promise.all(there)).every(has => has === true)) await this.#tree.get(signal);
    }).catch(() => {
      // Whoever asks a question is told.
    });
  }

  /** Work that needs no tree: it ends with the caller's signal and with the image. */
  async run<T>(options: AbortableOptions, body: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await this.#scope.run(options.signal, body);
  }

  /** What a file holds, in a tree that `at` or `with` gave; read from the merged one as soon as that is there. */
  content(tree: FileTree, path: ImagePath): FileContent {
    const how = { followLast: true, syscall: 'open' };
    const { ino } = lookUpFile(tree, path, how);
    // The caller's bytes may be others by then.
    const kept = typeof path === 'string' ? path : Uint8Array.from(path);
    const merged = (): { tree: FileTree; ino: number } | undefined => {
      const whole = this.#tree.value;
      return whole === undefined || whole === tree
        ? undefined
        : { tree: whole, ino: lookUpFile(whole, kept, how).ino };
    };
    return new FileContent(tree, ino, { merged });
  }

  /** Whatever is under way, and what is begun after it, rejects with ERR_SOCI_CLOSED. */
  close(): void {
    this.#scope.close(closedError(this.#parts.name));
  }

  /** Settles when no layer is being opened for the merged tree any more, and that is kept. */
  async finished(): Promise<void> {
    await this.#tree.finished();
    await this.#known;
    await this.#keeping;
  }

  async #merge(signal: AbortSignal): Promise<FileTree> {
    const { name, content, layers } = this.#parts;
    if (isPureArtifact(content.manifest)) throw noFilesError(name, content);
    const reading = this.#knownTree().then(known => known && this.#kept?.read(known));
    // Whatever becomes of the layers, nothing is read any more when this is over.
    const [opened, listed] = await Promise.all([openAll(layers, signal), reading]).finally(() => reading);
    const entries = opened.map(layer => layer.entries);
    const ztocs = this.#kept && ztocsOf(opened);
    const kept = ztocs && (await this.#keptTree(ztocs, listed));
    if (kept !== undefined) return new FileTree(kept.table, entries, kept.notes);
    const tree = await buildTree(entries, this.#parts.tree, signal);
    if (ztocs !== undefined)
      this.#keeping = this.#kept?.keep({ ztocs, table: tree.table, notes: tree.notes });
    return tree;
  }

  /** That of the ztocs that the index lists, if it lists one for each layer: asked before there is any of them. */
  #knownTree(): Promise<KnownTree | undefined> {
    this.#known ??= this.#recallTree();
    return this.#known;
  }

  async #recallTree(): Promise<KnownTree | undefined> {
    const ztocs = this.#parts.layers.flatMap(({ description }) => description.ztoc?.digest ?? []);
    return ztocs.length === this.#parts.layers.length ? await this.#kept?.known(ztocs) : undefined;
  }

  /** @param listed that of the ztocs that are listed, which need not be those that are used */
  async #keptTree(ztocs: readonly string[], listed: KeptTree | undefined): Promise<KeptTree | undefined> {
    const asked = await this.#knownTree();
    if (asked !== undefined && isDeepStrictEqual(asked.ztocs, ztocs)) return listed;
    const known = await this.#kept?.known(ztocs);
    return known && (await this.#kept?.read(known));
  }
}

async function openAll(layers: readonly ImageLayer[], signal: AbortSignal): Promise<readonly OpenedLayer[]> {
  const distinct = [...new Set(layers)];
  await runBounded(distinct, LAYERS_AT_ONCE, signal, (layer, abort) => layer.open(abort));
  return await Promise.all(layers.map(layer => layer.open(signal)));
}

/** All that a tree is made of; undefined when tables of contents are not all: of unpacked tars there are holes as well. */
function ztocsOf(layers: readonly OpenedLayer[]): readonly string[] | undefined {
  if (layers.some(({ origin }) => origin === 'unpacked')) return undefined;
  return layers.map(({ entries }) => entries.ztoc.digest);
}
