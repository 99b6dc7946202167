/**
 * The strata rule of biome.json, proved to bite: an import that points upwards,
 * or that loads the addon past lib/binding.ts, fails the lint; the allowed ones
 * pass. One file per pair is written to a folder with the same biome.json.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import t from 'tap';

const biome = join(createRequire(import.meta.url).resolve('@biomejs/biome/package.json'), '../bin/biome');

const STRATA = ['cli', 'image', 'layer', 'span', 'index', 'registry', 'ztoc', 'tar', 'source'] as const;
type Stratum = (typeof STRATA)[number];

const ALLOWED: Readonly<Record<Stratum, readonly Stratum[]>> = {
  cli: STRATA,
  image: ['layer', 'span', 'index', 'registry', 'ztoc', 'tar', 'source'],
  layer: ['span', 'ztoc', 'tar', 'source'],
  span: ['ztoc', 'source'],
  index: ['registry', 'ztoc', 'tar', 'source'],
  registry: ['source'],
  ztoc: ['tar', 'source'],
  tar: [],
  source: [],
};

interface Probe {
  readonly file: string;
  readonly specifier: string;
  readonly forbidden: boolean;
}

function probes(): Probe[] {
  const all: Probe[] = [];
  for (const from of STRATA) {
    const add = (specifier: string, forbidden: boolean) =>
      all.push({ file: `lib/${from}/probe-${all.length}.ts`, specifier, forbidden });
    for (const to of STRATA) {
      if (to !== from) add(`../${to}/thing.js`, !ALLOWED[from].includes(to));
    }
    add('../binding.js', from !== 'span' && from !== 'ztoc');
    add('node-gyp-build', true);
    add('../errors.js', false);
    add('./sibling.js', false);
  }
  all.push({ file: 'lib/index.ts', specifier: 'node-gyp-build', forbidden: true });
  all.push({ file: 'lib/binding.ts', specifier: 'node-gyp-build', forbidden: false });
  all.push({ file: 'lib/errors.ts', specifier: './binding.js', forbidden: true });
  return all;
}

/** The files in which biome reports a restricted import. */
function lint(folder: string): Set<string> {
  const args = [
    'lint',
    '--only=style/noRestrictedImports',
    '--reporter=github',
    '--max-diagnostics=none',
    '.',
  ];
  const run = spawnSync(process.execPath, [biome, ...args], { cwd: folder, encoding: 'utf8' });
  if (run.error) throw run.error;
  const found = run.stdout.matchAll(/^::error title=lint\/style\/noRestrictedImports,file=([^,]+),/gm);
  return new Set(Array.from(found, match => relative(folder, resolve(folder, match[1] ?? ''))));
}

t.test('imports point downwards only, and only the binding loads the addon', t => {
  const folder = t.testdir();
  copyFileSync('biome.json', join(folder, 'biome.json'));
  const all = probes();
  for (const { file, specifier } of all) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), `import { x } from '${specifier}';\nexport const y = x;\n`);
  }
  const found = lint(folder);
  for (const { file, specifier, forbidden } of all) {
    t.equal(found.has(file), forbidden, `${file} > ${specifier}`);
  }
  t.end();
});
