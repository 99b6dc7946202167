/**
 * The packages stand on the library as anybody's program does: they import it by
 * its name and exports, each other the same way, and nothing that they do not declare.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { parseFile, ROOT, sourceFiles, specifiersOf } from './library.js';

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(ROOT, folder, 'package.json'), 'utf8')) as Manifest;
}

/** Why a file of the package in `folder` may not import `specifier`; undefined if it may. */
function refusal(folder: string, file: string, specifier: string): string | undefined {
  if (specifier.startsWith('node:')) return undefined;
  if (specifier.startsWith('.')) {
    const target = path.posix.join(path.posix.dirname(file), specifier);
    return target.startsWith(`${folder}/`) ? undefined : 'a package ends at its folder';
  }
  const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? '';
  const { dependencies = {}, devDependencies = {} } = manifestOf(folder);
  const source = file.startsWith(`${folder}/src/`);
  if (!(name in dependencies) && (source || !(name in devDependencies))) return `${name} is not declared`;
  const entry = `.${specifier.slice('seekable-oci'.length)}`;
  if (name === 'seekable-oci' && !(entry in manifestOf('.').exports)) return 'it is not public';
  return undefined;
}

t.test('packages import what is public and declared', async t => {
  for (const { name } of readdirSync(path.join(ROOT, 'packages'), { withFileTypes: true }).filter(each =>
    each.isDirectory(),
  )) {
    const folder = `packages/${name}`;
    const files = ['src', 'test'].flatMap(part => sourceFiles(`${folder}/${part}`));
    t.ok(files.length > 0, `${folder} has sources`);
    for (const file of files) {
      for (const specifier of specifiersOf(parseFile(file))) {
        const why = refusal(folder, file, specifier);
        if (why) t.fail(`${file} > ${specifier}: ${why}`);
      }
    }
  }
});

t.test('the rule bites', async t => {
  const folder = 'packages/http-server';
  const probes: readonly (readonly [file: string, specifier: string, allowed: boolean])[] = [
    ['src/probe.ts', 'seekable-oci', true],
    ['src/probe.ts', 'seekable-oci/dist/span/reader.js', false],
    ['src/probe.ts', '../../../lib/index.js', false],
    ['src/probe.ts', './listener.js', true],
    ['src/probe.ts', 'node:http', true],
    ['src/probe.ts', 'tap', false],
    ['test/probe.ts', 'tap', true],
    ['test/probe.ts', 'seekable-oci/testing', true],
    ['src/probe.ts', 'undici', false],
  ];
  for (const [file, specifier, allowed] of probes) {
    const why = refusal(folder, `${folder}/${file}`, specifier);
    t.equal(why === undefined, allowed, `${file} > ${specifier}`);
  }
});
