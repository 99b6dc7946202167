/**
 * Imports point downwards only, and the addon has one door. The table below is
 * the one that CONTRIBUTING.md prints; a rule of a linter would repeat it once
 * per folder, as what is forbidden instead of what is allowed.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { parseFile, parseText, ROOT, sourceFiles, specifiersOf } from './library.js';

/** The strata from the top down, each with the folders and root files of lib/ that it may import. */
const STRATA: Readonly<Record<string, readonly string[]>> = {
  cli: [
    'index.ts',
    'load-order',
    'pull',
    'image',
    'plain',
    'soci',
    'store',
    'registry',
    'ztoc',
    'source',
    'configuration',
    'async',
    'files',
    'observe',
  ],
  testing: ['registry'],
  'load-order': ['image', 'tree', 'soci', 'source', 'async'],
  pull: [
    'image',
    'unpack',
    'tree',
    'plain',
    'soci',
    'span',
    'store',
    'registry',
    'ztoc',
    'tar',
    'source',
    'configuration',
    'async',
    'files',
    'observe',
  ],
  image: [
    'tree',
    'layer',
    'plain',
    'soci',
    'span',
    'store',
    'registry',
    'ztoc',
    'tar',
    'source',
    'async',
    'files',
    'observe',
  ],
  unpack: [
    'tree',
    'plain',
    'layer',
    'span',
    'registry',
    'ztoc',
    'tar',
    'source',
    'async',
    'files',
    'posix.ts',
    'native-tree.ts',
    'binding.ts',
  ],
  tree: ['layer', 'span', 'ztoc', 'tar', 'source', 'async'],
  plain: ['layer', 'soci', 'span', 'ztoc', 'tar', 'source', 'async', 'files', 'observe'],
  layer: ['span', 'ztoc', 'tar', 'source', 'async', 'observe'],
  soci: ['span', 'store', 'registry', 'ztoc', 'tar', 'source', 'async', 'files', 'observe'],
  span: ['store', 'ztoc', 'source', 'async', 'files', 'observe', 'binding.ts', 'pinned-memory.ts'],
  store: ['registry', 'source', 'async', 'files', 'observe', 'posix.ts'],
  registry: ['tar', 'source', 'async', 'files', 'observe', 'package-root.ts'],
  ztoc: ['tar', 'source', 'async', 'observe', 'binding.ts', 'package-root.ts', 'pinned-memory.ts'],
  tar: ['source'],
  source: ['async', 'files', 'observe', 'pinned-memory.ts'],
  configuration: ['async'],
  files: ['async', 'posix.ts'],
  async: [],
  observe: [],
  'posix.ts': ['binding.ts', 'native-failure.ts'],
  'native-tree.ts': ['binding.ts', 'native-failure.ts'],
  'binding.ts': ['native-failure.ts', 'package-root.ts', 'pinned-memory.ts'],
  'native-failure.ts': [],
  'package-root.ts': [],
  'pinned-memory.ts': [],
  'arguments.ts': [],
  'errors.ts': [],
};

/** What all may import, in the order in which they may import each other. */
const COMMON = ['arguments.ts', 'errors.ts'];

/** What loads a compiled addon, whatever it is called. */
const LOADERS = ['node-gyp-build', 'node:module', 'module'];

/** Arrows that still climb, `file > what it imports`: none may be added, and each goes when its file is mended. */
const CLIMBING: readonly string[] = [];

/** The stratum of a file: its folder below lib/, or the file itself. */
const stratumOf = (file: string) => file.split('/')[1] ?? '';

/** Why `file` may not import `specifier`; undefined if it may. */
function refusal(file: string, specifier: string): string | undefined {
  if (LOADERS.includes(specifier)) {
    return file === 'lib/binding.ts' ? undefined : 'only lib/binding.ts loads the addon';
  }
  if (!specifier.startsWith('.')) return undefined;
  const target = path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '.ts');
  if (!target.startsWith('lib/')) return 'lib/ stands alone';
  const [from, to] = [stratumOf(file), stratumOf(target)];
  if (from === 'index.ts' || from === to) return undefined;
  const below = STRATA[from];
  if (!below) return `lib/${from} has no place in the strata`;
  if (below.includes(to) || COMMON.indexOf(to) > COMMON.indexOf(from)) return undefined;
  return `lib/${from} may import ${[...COMMON, ...below].join(' ')} only`;
}

t.test('imports point downwards only, and only the binding loads the addon', async t => {
  const climbing: string[] = [];
  for (const name of sourceFiles('lib')) {
    for (const specifier of specifiersOf(parseFile(name))) {
      const why = refusal(name, specifier);
      const arrow = `${name} > ${specifier}`;
      if (!why) continue;
      climbing.push(arrow);
      if (!CLIMBING.includes(arrow)) t.fail(`${arrow}: ${why}`);
    }
  }
  for (const arrow of CLIMBING) t.ok(climbing.includes(arrow), `${arrow} still climbs, or is struck off`);
});

t.test('the strata have an order', async t => {
  const order = Object.keys(STRATA);
  const climbing = Object.entries(STRATA).flatMap(([from, below]) =>
    below
      .filter(to => to !== 'index.ts' && order.indexOf(to) <= order.indexOf(from))
      .map(to => `${from} > ${to}`),
  );
  t.strictSame(climbing, []);
});

t.test('the rule bites', async t => {
  const probes: readonly (readonly [file: string, specifier: string, allowed: boolean])[] = [
    ['lib/span/probe.ts', '../image/image.js', false],
    ['lib/span/probe.ts', '../registry/transport.js', false],
    ['lib/span/probe.ts', '../ztoc/ztoc.js', true],
    ['lib/span/probe.ts', '../binding.js', true],
    ['lib/span/probe.ts', './plan.js', true],
    ['lib/source/http/probe.ts', '../byte-range.js', true],
    ['lib/source/http/probe.ts', '../../registry/transport.js', false],
    ['lib/source/http/probe.ts', '../../errors.js', true],
    ['lib/cli/probe.ts', '../binding.js', false],
    ['lib/cli/probe.ts', '../index.js', true],
    ['lib/image/probe.ts', '../index.js', false],
    ['lib/image/probe.ts', '../../test/helpers/thing.js', false],
    ['lib/elsewhere/probe.ts', '../errors.js', false],
    ['lib/errors.ts', './arguments.js', false],
    ['lib/arguments.ts', './errors.js', true],
    ['lib/async/probe.ts', '../errors.js', true],
    ['lib/errors.ts', './binding.js', false],
    ['lib/index.ts', 'node-gyp-build', false],
    ['lib/index.ts', './binding.js', true],
    ['lib/binding.ts', 'node-gyp-build', true],
    ['lib/image/probe.ts', 'node:module', false],
    ['lib/image/probe.ts', 'node:path', true],
  ];
  for (const [file, specifier, allowed] of probes) {
    t.equal(refusal(file, specifier) === undefined, allowed, `${file} > ${specifier}`);
  }
  const text = `import a from './a.js'; import type { B } from './b.js'; export * from './c.js';
    type D = import('./d.js').D; const e = await import('./e.js'); import './f.js';`;
  t.strictSame(
    specifiersOf(parseText('x.ts', text)).sort(),
    ['a', 'b', 'c', 'd', 'e', 'f'].map(x => `./${x}.js`),
  );
});

t.test('CONTRIBUTING.md prints the table', async t => {
  const page = readFileSync(path.join(ROOT, 'CONTRIBUTING.md'), 'utf8');
  const printed = new Map<string, readonly string[]>();
  for (const [, name, cells] of page.matchAll(/^\| `([a-z-]+(?:\/|\.ts))` \| ([^|]*) \|$/gm)) {
    const below = [...(cells ?? '').matchAll(/`([^`]+)`/g)].map(match => match[1]?.replace(/\/$/, '') ?? '');
    printed.set(name?.replace(/\/$/, '') ?? '', below);
  }
  t.strictSame(Object.fromEntries(printed), STRATA);
});
