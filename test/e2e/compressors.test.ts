/**
 * Layers as real tools write them: packed by tar(1), compressed by whatever gzip
 * implementations the machine has, indexed by the command, and every file read
 * back through spans and compared with the one that was packed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { FileSource, openLayer, Ztoc } from '../../lib/index.js';

const MAIN = resolve(import.meta.dirname, '../../lib/cli/main.js');
/** Some megabytes of code, text and source maps that every clone has. */
const PACKED = 'node_modules/@tapjs';
const SPAN_SIZE = 256 * 1024;

/** Shell commands from standard input to standard output, by the program they need. */
const COMPRESSORS: readonly (readonly [program: string, script: string])[] = [
  ['gzip', 'gzip -1'],
  ['gzip', 'gzip -9 -n'],
  ['pigz', 'pigz -p 2'],
  ['pigz', 'pigz -i -b 128'],
  ['busybox', 'busybox gzip -c'],
  ['igzip', 'igzip -1 -c'],
  ['libdeflate-gzip', 'libdeflate-gzip -12 -c'],
  // Members one after the other, as a compressor that works in parallel may write them.
  ['split', 'split -b 1000000 --filter="gzip -6"'],
];

function installed(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

function soci(...args: string[]): Buffer {
  return execFileSync(process.execPath, [MAIN, ...args], { maxBuffer: 2 ** 30 });
}

function regularFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => join(folder, name))
    .filter(path => statSync(path).isFile());
}

const folder = t.testdir({});
const tar = join(folder, 'layer.tar');
execFileSync('tar', ['-cf', tar, '-h', PACKED]);
const files = regularFiles(PACKED);

async function checkLayer(t: Test, path: string): Promise<void> {
  const ztocPath = `${path}.ztoc`;
  soci('ztoc', 'build', path, '-o', ztocPath, '--span-size', String(SPAN_SIZE));
  soci('ztoc', 'verify', path, ztocPath);
  const ztoc = Ztoc.decode(readFileSync(ztocPath));
  t.ok(ztoc.spanCount > 1, `${ztoc.spanCount} spans`);
  const source = await FileSource.open(path);
  const layer = await openLayer(source, ztoc);
  let wrong = 0;
  for (const file of files) {
    if (!(await layer.readFile(file, { followSymlinks: true })).equals(readFileSync(file))) wrong++;
  }
  t.equal(wrong, 0, `all ${files.length} files have their bytes`);
  await layer.close();
  await source.close();
  const last = files.at(-1) as string;
  t.ok(soci('ztoc', 'cat', path, ztocPath, last).equals(readFileSync(last)), 'and so through the command');
}

t.ok(files.length > 100, `${files.length} files are packed`);

t.test('not compressed', t => checkLayer(t, tar));

for (const [program, script] of COMPRESSORS) {
  const skip = installed(program) ? false : `${program} is not installed`;
  t.test(script, { skip }, async t => {
    const path = join(folder, `${script.replaceAll(/\W+/g, '-')}.tar.gz`);
    execFileSync('sh', ['-c', `${script} < "$0" > "$1"`, tar, path]);
    await checkLayer(t, path);
  });
}
