/**
 * Makes what runs in dist/ of .lib-build/: the library, its registry for tests and the command, in a few files in
 * place of hundreds, since Node takes longer to find and link a module than to read it: importing the library takes
 * a third of the time. They share their parts, so that no class is there twice; what the command loads when it is
 * needed stays in files of its own. Dependencies and the addon are not part of them.
 */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';

const root = path.join(import.meta.dirname, '..');
const compiled = path.join(root, '.lib-build');
const dist = path.join(root, 'dist');

const { metafile } = await build({
  entryPoints: {
    index: path.join(compiled, 'index.js'),
    'testing/testing': path.join(compiled, 'testing/testing.js'),
    'command/main': path.join(compiled, 'cli/main.js'),
  },
  outdir: dist,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  logLevel: 'warning',
  absWorkingDir: root,
  metafile: true,
});

// What an earlier build has left is not to be packed.
const made = new Set(Object.keys(metafile.outputs).map(name => path.join(root, name)));
for (const name of await readdir(dist, { recursive: true })) {
  const file = path.join(dist, name);
  if (name.endsWith('.js') && !made.has(file)) await rm(file);
}
