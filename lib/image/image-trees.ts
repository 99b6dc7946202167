/**
 * How the calls on an image come by a tree to answer from: the first question about
 * one path by the layers on which it depends, all else by the merged tree, which is
 * made once. Whatever is under way ends with the image.
 */
import { AbortScope } from '../async/abort-scope.js';
import { runBounded } from '../async/bounded-tasks.js';
import { SharedOnce } from '../async/once.js';
import { Pace } from '../async/pace.js';
import { closedError } from '../source/byte-range.js';
import type { AbortableOptions } from '../source/range-source.js';
import { buildTree } from '../tree/build-tree.js';
import type { FileTree } from '../tree/file-tree.js';
import { type ImagePath, type LookupHow, lookUpFile } from '../tree/path-lookup.js';
import { isPureArtifact, noFilesError } from './artifact.js';
import { FileContent } from './file-content.js';
import { firstLook } from './first-look.js';
import { LAYERS_AT_ONCE } from './image-layer.js';
import type { ImageParts } from './image-parts.js';

export class ImageTrees {
  readonly #parts: ImageParts;
  readonly #scope = new AbortScope();
  readonly #tree: SharedOnce<FileTree>;
  readonly #pace = new Pace();
  #asked = false;

  constructor(parts: ImageParts) {
    this.#parts = parts;
    this.#tree = new SharedOnce(signal => this.#merge(signal));
  }

  /** Of all layers, once it has been made. */
  get merged(): FileTree | undefined {
    return this.#tree.value;
  }

  /**
   * A question about one path that needs no numbers and attributes. The first one is answered by the layers on which it
   * depends; who asks again will ask for more, and the tree is merged.
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
    ztocs.ask();
    const { maxNames } = tree;
    return await this.run(options, async signal => {
      const merge = (abort: AbortSignal): Promise<FileTree> => this.#tree.get(abort);
      const found = await firstLook(layers, { path, followLast, maxNames, merge }, signal);
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
    this.#parts.ztocs.ask();
    return await this.run(options, async signal => {
      const tree = await this.#tree.get(signal);
      // Most calls are answered from the tree at once, and loops of them would keep everything else waiting.
      await this.#pace.step(signal);
      return await body(tree, signal);
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

  /** Settles when no layer is being opened for the merged tree any more. */
  async finished(): Promise<void> {
    await this.#tree.finished();
  }

  async #merge(signal: AbortSignal): Promise<FileTree> {
    const { name, content, layers } = this.#parts;
    if (isPureArtifact(content.manifest)) throw noFilesError(name, content);
    const distinct = [...new Set(layers)];
    await runBounded(distinct, LAYERS_AT_ONCE, signal, (layer, abort) => layer.open(abort));
    const opened = await Promise.all(layers.map(layer => layer.open(signal)));
    const entries = opened.map(layer => layer.entries);
    return await buildTree(entries, this.#parts.tree, signal);
  }
}
