/**
 * Batches that run side by side, in any order that the reservations allow: on a file system in memory that takes its
 * time, random layers become what the merged tree of the same layers shows.
 */
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import { type BatchResult, TREE_FLAG, TREE_OPERATION } from '../../lib/native-tree.js';
import type { EntryFields } from '../../lib/tar/entry.js';
import { LENIENT } from '../../lib/tar/policy.js';
import { TarWalk } from '../../lib/tar/tar-walk.js';
import { Freezer } from '../../lib/tree/freeze.js';
import { InodeTree } from '../../lib/tree/inode-tree.js';
import type { Semantics } from '../../lib/tree/layer-note.js';
import { KIND_NAMES } from '../../lib/tree/node-kind.js';
import { Overlay } from '../../lib/tree/overlay.js';
import type { OperationExecutor } from '../../lib/unpack/operation-executor.js';
import { unpackWith } from '../../lib/unpack/unpack-image.js';
import fc from '../property.js';
import { layerOf } from '../tree/sample-toc.js';
import { failureOf, scratchFolder } from './fixture.js';
import { decodeBatch } from './reference-executor.js';
import { type Line, tarOf } from './sample-tar.js';

interface Inode {
  readonly kind: string;
  /** Of a link; of a file where its bytes are in the tar. */
  readonly content: string;
}

/** What the operations of batches make, each of which may be overtaken by those of others. */
class MemoryDisk {
  readonly names = new Map<string, Inode>();
  /** Of batches that ran while others did. */
  overlaps = 0;
  #running = 0;

  open(): OperationExecutor {
    const held = { heldBytes: 0, add: () => {}, release: () => {}, abort: () => {}, close: async () => {} };
    return { ...held, read: () => new Uint8Array(0), run: batch => this.#run(Buffer.from(batch)) };
  }

  async #run(batch: Buffer): Promise<BatchResult> {
    this.#running += 1;
    if (this.#running > 1) this.overlaps += 1;
    for (const operation of decodeBatch(batch)) {
      if (Math.random() < 0.1) await setImmediate();
      this.#execute(operation);
    }
    this.#running -= 1;
    return { skippedOwners: 0, skippedXattrs: 0, skippedDevices: 0 };
  }

  #execute({ kind, flags, path, link, tarOffset }: ReturnType<typeof decodeBatch>[number]): void {
    for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
      const above = path.slice(0, at);
      if (!this.names.has(above)) this.names.set(above, { kind: 'dir', content: '' });
      if (this.names.get(above)?.kind !== 'dir')
        throw new Error(`${path} is below a ${this.names.get(above)?.kind}`);
    }
    const present = this.names.get(path);
    if (kind === TREE_OPERATION.SET_ATTRIBUTES) {
      if (present === undefined && path !== '') throw new Error(`nothing at ${path}`);
      return;
    }
    if (kind === TREE_OPERATION.REMOVE) {
      for (const name of this.names.keys()) {
        if (name === path || name.startsWith(`${path}/`)) this.names.delete(name);
      }
      return;
    }
    if (kind === TREE_OPERATION.DIRECTORY && present?.kind === 'dir') return;
    if (present !== undefined && (flags & TREE_FLAG.REPLACE) === 0) throw new Error(`something at ${path}`);
    if (present?.kind === 'dir') throw new Error(`${path} is a directory`);
    const target = this.names.get(link);
    if (kind === TREE_OPERATION.DIRECTORY) this.names.set(path, { kind: 'dir', content: '' });
    else if (kind === TREE_OPERATION.SYMBOLIC_LINK) this.names.set(path, { kind: 'symlink', content: link });
    else if (kind === TREE_OPERATION.FILE) this.names.set(path, { kind: 'reg', content: String(tarOffset) });
    else if (kind === TREE_OPERATION.HARD_LINK && target !== undefined) this.names.set(path, target);
    else if (kind === TREE_OPERATION.NODE) this.names.set(path, { kind: 'char', content: '' });
    else throw new Error(`kind ${kind} of ${path}: no ${link}`);
  }
}

function treeOf(layers: readonly Uint8Array[], semantics: Semantics): string[] {
  const tree = new InodeTree(1e6);
  const overlay = new Overlay(tree, 'apply', semantics);
  const frozen = layers.map(tar => {
    const entries: EntryFields[] = [];
    const walk = new TarWalk(LENIENT, ({ entry }) => entries.push(entry.fields));
    walk.push(tar);
    return layerOf(entries);
  });
  for (const { ztoc } of frozen) overlay.apply(ztoc);
  const steps = new Freezer(tree, frozen, 'unpacked').run(Number.POSITIVE_INFINITY);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done !== true) continue;
    const table = step.value;
    return Array.from({ length: table.nameCount - 1 }, (_, i) => {
      const ino = table.inode(i + 1);
      const kind = KIND_NAMES[table.kind(i + 1)] as string;
      const from = frozen[table.layer(ino)]?.ztoc;
      const content =
        kind === 'symlink'
          ? table.linkTarget(ino)
          : kind === 'reg'
            ? from?.fields(table.entry(ino)).offset
            : '';
      return `${table.path(i + 1).slice(1)} ${kind} ${content}`;
    }).sort();
  }
}

const name = fc.constantFrom(...'abcdefgh');
const directory = fc.tuple(name, name).map(names => names.join('/'));
const KINDS = [...'f'.repeat(200), ...'d'.repeat(20), ...'s'.repeat(20), ...'='.repeat(20), ...'....oox'];
const step = fc.record({ kind: fc.constantFrom(...KINDS), at: directory, name, back: fc.nat({ max: 50 }) });

/** Hard links are to files that there are. */
function linesOf(steps: readonly { kind: string; at: string; name: string; back: number }[]): Line[] {
  const files: string[] = [];
  return steps.map(({ kind, at, name, back }): Line => {
    const target = files.at(-1 - back);
    if (kind === 'd') return `${at}/`;
    const last = `${name}${back}`;
    if (kind === 's') return `${at}/${last}~ -> ../${name}`;
    if (kind === '=' && target !== undefined) return `${at}/${last}+ = ${target}`;
    if (kind === '.') return `${at}/.wh.${last}`;
    if (kind === 'o') return `${at}/.wh..wh..opq`;
    // A file in place of a directory, with all that is in it; then directories again.
    if (kind === 'x') files.length = 0;
    const path = kind === 'x' ? at : `${at}/${last}`;
    if (kind !== 'x') files.push(path);
    return { name: path, body: 'x' };
  });
}

const steps = fc.array(step, { minLength: 1, maxLength: 1000, size: 'max' });
const layers = fc.array(steps.map(linesOf), { minLength: 1, maxLength: 3, size: 'max' });

t.test('whatever the layers, and whichever batch is faster', async t => {
  let compared = 0;
  let overlaps = 0;
  await fc.assert(
    fc.asyncProperty(layers, fc.constantFrom<Semantics>('overlay', 'spec'), async (lines, semantics) => {
      const tars = lines.map(each => tarOf(each));
      const disk = new MemoryDisk();
      const root = `${scratchFolder(t)}/root`;
      const given = tars.map(content => ({ content }));
      const failure = await failureOf(
        unpackWith({ target: 'merged', directory: root, layers: given, semantics }, () => disk.open()),
      );
      const { code } = (failure ?? {}) as { readonly code?: string };
      if (code === 'ERR_SOCI_LINK_TARGET' || code === 'ELOOP') return;
      if (failure !== undefined) throw failure;
      const found = [...disk.names].map(([path, { kind, content }]) => `${path} ${kind} ${content}`).sort();
      t.same(found, treeOf(tars, semantics));
      compared += 1;
      overlaps += disk.overlaps;
    }),
    { numRuns: 25 },
  );
  t.ok(compared > 5 && overlaps > 0, `${compared} compared, ${overlaps} batches beside others`);
});
