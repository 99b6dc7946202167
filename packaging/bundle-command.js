/**
 * Makes dist/command/ of dist/cli/: the same code in a few files in place of hundreds, since Node takes longer to
 * find and link a module than to read it, and a command is over when a server has hardly begun. What is loaded when
 * it is needed stays in files of its own; dependencies and the addon are not part of them.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';

const dist = path.join(import.meta.dirname, '../dist');
const target = path.join(dist, 'command');

await rm(target, { recursive: true, force: true });
await build({
  entryPoints: [path.join(dist, 'cli/main.js')],
  outdir: target,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  logLevel: 'warning',
});
