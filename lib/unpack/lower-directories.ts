/**
 * What the layers below say of directories that a layer unpacked by itself has and
 * does not declare: overlayfs shows the upper one's attributes, so it gets those of
 * the lower one, as containerd gives them.
 */
import { abortable } from '../async/abortable.js';
import type { EntryFields } from '../tar/entry.js';
import { InodeTree } from '../tree/inode-tree.js';
import type { Semantics } from '../tree/layer-note.js';
import { KIND } from '../tree/node-kind.js';
import { type LayerToc, Overlay } from '../tree/overlay.js';
import { NONE, ROOT } from '../tree/path-walk.js';

export class LowerDirectories {
  readonly #tree: InodeTree;
  readonly #overlay: Overlay;
  readonly #tocs: LayerToc[] = [];
  /** How many of them are in the tree: most images never ask. */
  #applied = 0;
  #waiting: (() => void)[] = [];

  constructor(maxNames: number, semantics: Semantics) {
    this.#tree = new InodeTree(maxNames);
    this.#overlay = new Overlay(this.#tree, 'apply', semantics);
  }

  /** The next layer, on top of the others. */
  add(toc: LayerToc): void {
    this.#tocs.push(toc);
    for (const resume of this.#waiting.splice(0)) resume();
  }

  /** Settles when so many layers have been added. @throws the signal's reason */
  async whenComplete(count: number, signal: AbortSignal): Promise<void> {
    while (this.#tocs.length < count) {
      await abortable(new Promise<void>(resolve => this.#waiting.push(resolve)), signal);
    }
  }

  /**
   * The headers of a directory; undefined where there is none, or no layer declares it.
   *
   * @param count layers that are below; those who ask later ask for as many at least
   */
  headers(path: string, count: number): readonly EntryFields[] | undefined {
    for (; this.#applied < count; this.#applied++) {
      this.#overlay.apply(this.#tocs[this.#applied] as LayerToc);
    }
    const tree = this.#tree;
    let node = ROOT;
    for (const name of path === '' ? [] : path.split('/')) {
      node = tree.child(node, name);
      if (node === NONE) return undefined;
    }
    const inode = tree.inode(node);
    const { kind, layer, entry } = tree.origin(inode);
    if (kind !== KIND.dir || entry === NONE) return undefined;
    const toc = this.#tocs[layer] as LayerToc;
    return [entry, ...tree.headers(inode)].map(index => toc.fields(index));
  }
}
