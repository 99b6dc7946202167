/**
 * A path looked up from the uppermost layer down says what the merged tree says: at every depth at which it dares to
 * say anything, of any layers.
 */
import assert from 'node:assert/strict';
import t from 'tap';
import { SociError } from '../../lib/errors.js';
import type { LayerEntries } from '../../lib/layer/layer-entries.js';
import { FileTree } from '../../lib/tree/file-tree.js';
import { Freezer } from '../../lib/tree/freeze.js';
import { InodeTree } from '../../lib/tree/inode-tree.js';
import { Overlay } from '../../lib/tree/overlay.js';
import { lookUp } from '../../lib/tree/path-lookup.js';
import { type PathAnswer, PathQuestion } from '../../lib/tree/path-question.js';
import fc from '../property.js';
import { layerOf, type SampleEntry } from './sample-toc.js';

/** 'path/' a directory, 'path' a file, 'path -> target', 'path = target', 'path c0,0' a device. */
function entryOf(line: string): SampleEntry {
  const [, name = '', arrow, linkname = ''] = /^(.*?)(?: (->|=) (.*))?$/.exec(line) ?? [];
  if (arrow === '->') return { name, type: 'symlink', linkname };
  if (arrow === '=') return { name, type: 'hardlink', linkname };
  if (line.endsWith(' c0,0')) return { name: line.slice(0, -5), type: 'char' };
  return name.endsWith('/') ? { name, type: 'dir' } : { name };
}

type Layers = readonly (readonly string[])[];

function layersOf(layers: Layers): LayerEntries[] {
  return layers.map(lines => layerOf(lines.map(entryOf)) as unknown as LayerEntries);
}

function finish<T>(steps: Generator<void, T, undefined>): T {
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
}

function merged(layers: readonly LayerEntries[]): FileTree {
  const tree = new InodeTree(1e6);
  const overlay = new Overlay(tree);
  for (const { ztoc } of layers) overlay.apply(ztoc);
  return new FileTree(finish(new Freezer(tree, layers, 'unpacked').run(1e9)), layers);
}

/** What a look-up ends in: where the bytes are, or why there are none. */
function outcome(tree: FileTree, path: string, followLast: boolean): unknown {
  try {
    const { ino, name, links } = lookUp(tree, path, { followLast, syscall: 'open' });
    const { kind } = tree.attributes(ino);
    const where = { kind, path: tree.table.path(name), links: links.map(link => tree.table.path(link)) };
    if (kind === 'dir') return where;
    const target = kind === 'symlink' ? tree.readlink(ino).toString() : undefined;
    return { ...where, target, layer: tree.table.layer(ino), entry: tree.table.entry(ino) };
  } catch (error) {
    if (!(error instanceof SociError)) throw error;
    return { code: error.code, message: error.message };
  }
}

interface Asked {
  readonly answer: Exclude<PathAnswer, 'more'>;
  /** Layers that it took. */
  readonly layers: number;
}

function ask(layers: readonly LayerEntries[], path: string, followLast = true): Asked {
  const question = new PathQuestion(path, { followLast, layerCount: layers.length, maxNames: 1e6 });
  for (const [depth, layer] of [...layers].reverse().entries()) {
    const answer = finish(question.add(layer));
    if (answer !== 'more') return { answer, layers: depth + 1 };
  }
  throw new Error('the last layer leaves nothing open');
}

const CASES: Readonly<
  Record<string, { layers: Layers; path: string; took: number | 'merge'; leads: string }>
> = {
  'a file of the uppermost layer': { layers: [['a'], ['b/x'], ['b/x']], path: 'b/x', took: 1, leads: '2' },
  'a file of the layer below': { layers: [['a'], ['b/x'], ['c']], path: '/b/x', took: 2, leads: '1' },
  'what no layer has takes all of them': {
    layers: [['a'], ['b'], ['c']],
    path: 'd',
    took: 3,
    leads: 'ENOENT',
  },
  'a whiteout': { layers: [['a'], ['.wh.a'], ['c']], path: 'a', took: 2, leads: 'ENOENT' },
  'a whiteout of a directory on the way': {
    layers: [['a/b/c'], ['.wh.a'], ['c']],
    path: 'a/b/c',
    took: 2,
    leads: 'ENOENT',
  },
  'an opaque directory': {
    layers: [['a/b'], ['a/', 'a/.wh..wh..opq']],
    path: 'a/b',
    took: 1,
    leads: 'ENOENT',
  },
  'what stands beside an opaque mark': {
    layers: [['a/b'], ['a/b', 'a/.wh..wh..opq']],
    path: 'a/b',
    took: 1,
    leads: '1',
  },
  'a file in place of a directory': { layers: [['a/b'], ['a']], path: 'a/b', took: 1, leads: 'ENOTDIR' },
  'a directory that only has something else in it': {
    layers: [['a', 'x'], ['a/c']],
    path: 'a/b',
    took: 2,
    leads: 'ENOENT',
  },
  'a symbolic link to a file of a lower layer': {
    layers: [['usr/bin/real'], ['x'], ['bin -> usr/bin'], ['bin2 -> /bin/real']],
    path: 'bin2',
    took: 4,
    leads: '0',
  },
  'a symbolic link whose target its own layer has': {
    layers: [['lib/x'], ['lib/', 'lib/x.1', 'lib/x -> x.1']],
    path: 'lib/x',
    took: 1,
    leads: '1',
  },
  'a symbolic link upwards': { layers: [['r'], ['d/l -> ../../r', 'r']], path: 'd/l', took: 1, leads: '1' },
  'a loop': { layers: [['x'], ['a -> b', 'b -> a']], path: 'a', took: 1, leads: 'ELOOP' },
  'a hard link': { layers: [['x'], ['d/f', 'g = d/f']], path: 'g', took: 1, leads: '1' },
  'a hard link to a hard link': { layers: [['x'], ['f', 'g = f', 'h = g']], path: 'h', took: 1, leads: '1' },
  'a hard link into a lower layer': { layers: [['f'], ['g = f']], path: 'g', took: 'merge', leads: '0' },
  'an entry below a link of its own layer': {
    layers: [['usr/lib/x'], ['l -> usr/lib', 'l/x']],
    path: 'usr/lib/x',
    took: 'merge',
    leads: '1',
  },
  'a directory after its whiteout': {
    layers: [['a/b'], ['.wh.a', 'a/', 'a/c']],
    path: 'a/b',
    took: 'merge',
    leads: '0',
  },
  'names that are not clean': { layers: [['a/b'], ['./a//./b', 'x/../c']], path: 'a/b', took: 1, leads: '1' },
  'a path that is not clean': { layers: [['a/b'], ['a/', 'c']], path: './/a/./../a/b', took: 2, leads: '0' },
  'a directory where a file was wanted': { layers: [['x'], ['a/b/']], path: 'a/b', took: 1, leads: 'dir' },
  'a slash behind a file': { layers: [['x'], ['a']], path: 'a/', took: 1, leads: 'ENOTDIR' },
  'the root': { layers: [['x'], ['a']], path: '/', took: 1, leads: 'dir' },
};

for (const [title, { layers, path, took, leads }] of Object.entries(CASES)) {
  t.test(title, async t => {
    const entries = layersOf(layers);
    const tree = merged(entries);
    const { answer, layers: needed } = ask(entries, path);
    t.equal(answer === 'merge' ? 'merge' : needed, took, 'layers that it takes');
    const found = outcome(answer === 'merge' ? tree : answer, path, true);
    t.strictSame(found, outcome(tree, path, true));
    const { layer, kind, code } = found as Readonly<Record<string, unknown>>;
    t.equal(String(code ?? (kind === 'dir' ? kind : layer)), leads);
  });
}

t.test('paths that hang on very much are for the merged tree', async t => {
  const chain = Array.from({ length: 39 }, (_, i) => `l${i} -> l${i + 1}`);
  const links = layersOf([['x'], [...chain, 'l39']]);
  t.equal(ask(links, 'l0').answer, 'merge', 'by their links');
  t.equal(ask(layersOf([['x']]), 'd/'.repeat(2000)).answer, 'merge', 'by their length');
  const hard = Array.from({ length: 100 }, (_, i) => `h${i + 1} = h${i}`);
  t.equal(ask(layersOf([['h0', ...hard]]), 'h100').answer, 'merge', 'by hard links to hard links');
});

const name = fc.constantFrom('a', 'b', 'c');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map(parts => parts.join('/'));
const plain = fc.oneof(
  { weight: 4, arbitrary: path },
  { weight: 2, arbitrary: path.map(text => `${text}/`) },
  { weight: 1, arbitrary: fc.tuple(path, path).map(([text, target]) => `${text} -> ${target}`) },
  { weight: 1, arbitrary: fc.tuple(path, path).map(([text, target]) => `${text} -> /${target}`) },
  { weight: 1, arbitrary: fc.tuple(path, path).map(([text, target]) => `${text} -> ../${target}`) },
  { weight: 1, arbitrary: fc.tuple(path, path).map(([text, target]) => `${text} = ${target}`) },
  { weight: 1, arbitrary: path.map(text => text.replace(/[^/]*$/, '.wh.$&')) },
  { weight: 1, arbitrary: path.map(text => text.replace(/[^/]*$/, '.wh..wh..opq')) },
  { weight: 1, arbitrary: path.map(text => `./${text.replace('/', '/./')}`) },
  { weight: 1, arbitrary: path.map(text => `${text} c0,0`) },
);
const stack = fc.array(fc.array(plain, { maxLength: 5 }), { minLength: 1, maxLength: 4 });
const question = fc.oneof(
  path,
  path.map(text => `${text}/`),
  fc.tuple(path, path).map(both => both.join('/../')),
);

t.test('whatever the layers: what it says is what the merged tree says', async t => {
  const RUNS = 1000;
  let answered = 0;
  let early = 0;
  fc.assert(
    fc.property(stack, question, fc.boolean(), (layers, path, followLast) => {
      const entries = layersOf(layers);
      const { answer, layers: needed } = ask(entries, path, followLast);
      if (answer === 'merge') return;
      answered += 1;
      if (needed < layers.length) early += 1;
      assert.deepEqual(outcome(answer, path, followLast), outcome(merged(entries), path, followLast));
    }),
    { numRuns: RUNS },
  );
  t.ok(
    answered > RUNS / 3 && early > RUNS / 10,
    `${answered} of ${RUNS} were answered, ${early} of them before the last layer`,
  );
});
