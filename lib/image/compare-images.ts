/**
 * What differs between two images: names first, then what their trees say of
 * them. Files that both have from the same entry of the same layer are equal
 * without a look; of others the bytes are compared if that is asked for.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import type { AbortableOptions } from '../source/range-source.js';
import type { FileTree, NodeAttributes, NodeName } from '../tree/file-tree.js';
import type { Image } from './image.js';

export type Difference = 'type' | 'mode' | 'owner' | 'size' | 'target' | 'device' | 'xattrs' | 'content';

export interface ImageDifference {
  /** Absolute. */
  readonly path: Buffer;
  /** 'uncompared': a file of the same size in another layer, whose bytes were not asked for. */
  readonly change: 'added' | 'removed' | 'changed' | 'uncompared';
  /** What of a changed file, in this order. */
  readonly differences: readonly Difference[];
}

export interface CompareImagesOptions extends AbortableOptions {
  /** Compare the bytes of files that may differ. Default false. */
  readonly content?: boolean | undefined;
}

const COMPARE_OPTIONS: OptionNames<CompareImagesOptions> = { signal: true, content: true };

const CHUNK = 1024 * 1024;
/** Names between two turns of the event loop. */
const SLICE = 4096;

interface Side {
  readonly tree: FileTree;
  /** Digests of its layers, the lowest first. */
  readonly layers: readonly string[];
}

/**
 * In bytewise order, a directory before what is in it. Times are not compared: whoever builds anew has new ones.
 *
 * @throws SociError what reading either image fails with
 */
export async function* compareImages(
  before: Image,
  after: Image,
  options: CompareImagesOptions = {},
): AsyncGenerator<ImageDifference, void, undefined> {
  checkOptions('compareImages', options, COMPARE_OPTIONS);
  const { signal } = options;
  const [from, to] = [await sideOf(before, options), await sideOf(after, options)];
  const pending = [
    {
      path: Buffer.alloc(0),
      from: from.tree.root as number | undefined,
      to: to.tree.root as number | undefined,
    },
  ];
  let turn = 0;
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (++turn % SLICE === 0) await new Promise(resolve => setImmediate(resolve));
    signal?.throwIfAborted();
    const { path } = next;
    if (path.length > 0) yield* difference(next, from, to, options);
    const names = merged(namesIn(from.tree, next.from), namesIn(to.tree, next.to));
    for (const { name, ...inodes } of names.reverse()) {
      pending.push({ path: Buffer.concat([path, Buffer.from('/'), name]), ...inodes });
    }
  }
}

interface Pair {
  readonly path: Buffer;
  readonly from: number | undefined;
  readonly to: number | undefined;
}

async function sideOf(image: Image, { signal }: AbortableOptions): Promise<Side> {
  const tree = await image.tree({ signal });
  return { tree, layers: image.layers.map(({ descriptor }) => descriptor.digest) };
}

function namesIn(tree: FileTree, ino: number | undefined): readonly NodeName[] {
  return ino === undefined || tree.attributes(ino).kind !== 'dir' ? [] : tree.readdir(ino);
}

/** Both lists are sorted bytewise. */
function merged(from: readonly NodeName[], to: readonly NodeName[]) {
  const names: { name: Buffer; from: number | undefined; to: number | undefined }[] = [];
  for (let i = 0, j = 0; i < from.length || j < to.length; ) {
    const [a, b] = [from[i], to[j]];
    const order = a === undefined ? 1 : b === undefined ? -1 : Buffer.compare(a.name, b.name);
    const name = (order <= 0 ? a : b)?.name ?? Buffer.alloc(0);
    names.push({ name, from: order <= 0 ? a?.ino : undefined, to: order >= 0 ? b?.ino : undefined });
    if (order <= 0) i += 1;
    if (order >= 0) j += 1;
  }
  return names;
}

async function* difference(
  { path, from, to }: Pair,
  before: Side,
  after: Side,
  options: CompareImagesOptions,
): AsyncGenerator<ImageDifference, void, undefined> {
  if (from === undefined || to === undefined) {
    yield { path, change: from === undefined ? 'added' : 'removed', differences: [] };
    return;
  }
  const [a, b] = [before.tree.attributes(from), after.tree.attributes(to)];
  const found = attributesThatDiffer(a, b);
  if (a.kind === 'symlink' && b.kind === 'symlink') {
    if (!before.tree.readlink(from).equals(after.tree.readlink(to))) found.push('target');
  }
  if (!sameXattrs(before.tree.xattrs(from), after.tree.xattrs(to))) found.push('xattrs');
  const files = a.kind === 'reg' && b.kind === 'reg' && a.size === b.size;
  const uncertain = files && a.size > 0 && !sameEntry(before, from, after, to);
  if (uncertain && options.content === true) {
    if (!(await sameBytes([before.tree, from], [after.tree, to], a.size, options))) found.push('content');
  }
  if (found.length > 0) yield { path, change: 'changed', differences: found };
  else if (uncertain && options.content !== true) yield { path, change: 'uncompared', differences: [] };
}

function attributesThatDiffer(a: NodeAttributes, b: NodeAttributes): Difference[] {
  if (a.kind !== b.kind) return ['type'];
  const found: Difference[] = [];
  if (a.mode !== b.mode) found.push('mode');
  if (a.uid !== b.uid || a.gid !== b.gid) found.push('owner');
  if (a.kind === 'reg' && a.size !== b.size) found.push('size');
  if (a.rdev !== b.rdev) found.push('device');
  return found;
}

function sameXattrs(a: ReadonlyMap<string, Buffer>, b: ReadonlyMap<string, Buffer>): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value) === true);
}

/** The same entry of the same layer: there is one answer to what its bytes are. */
function sameEntry(before: Side, from: number, after: Side, to: number): boolean {
  const [a, b] = [before.tree.table, after.tree.table];
  return before.layers[a.layer(from)] === after.layers[b.layer(to)] && a.entry(from) === b.entry(to);
}

async function sameBytes(
  [a, from]: readonly [FileTree, number],
  [b, to]: readonly [FileTree, number],
  size: number,
  { signal }: AbortableOptions,
): Promise<boolean> {
  const here = Buffer.alloc(Math.min(CHUNK, size));
  const there = Buffer.alloc(Math.min(CHUNK, size));
  for (let at = 0; at < size; at += CHUNK) {
    const [length] = await Promise.all([
      a.readInto(from, at, here, { signal }),
      b.readInto(to, at, there, { signal }),
    ]);
    if (!here.subarray(0, length).equals(there.subarray(0, length))) return false;
  }
  return true;
}
