/**
 * A program that is bundled still finds the addon and the version: with the package left out of the bundle, and
 * swallowed by it while the package is installed beside it. Where it is nowhere, the error says what to do.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { build, type Format } from 'esbuild';
import t, { type Test } from 'tap';
import { PACKAGE_ROOT } from '../../lib/package-root.js';

const run = promisify(execFile);
const LIBRARY = path.join(import.meta.dirname, '../../lib');
const PROGRAM = `
  import { buildZtoc } from 'seekable-oci';
  buildZtoc(new Uint8Array(1024), { compression: 'uncompressed' }).then(
    ({ ztoc }) => console.log(ztoc.buildToolIdentifier),
  );`;

/** esbuild's own cure for CommonJS (undici) in a bundle of modules, as docs/troubleshooting.md has it. */
const BANNER = "import { createRequire as from } from 'node:module'; const require = from(import.meta.url);";

interface Bundle {
  readonly format: Format;
  readonly external: boolean;
  readonly installed: boolean;
}

/** A folder of an application, outside of this repository, with the package as installed, if it is. */
async function application(t: Test, installed: boolean): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'soci-bundle-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  if (!installed) return folder;
  const target = path.join(folder, 'node_modules/seekable-oci');
  await mkdir(target, { recursive: true });
  await copyFile(path.join(PACKAGE_ROOT.directory, 'package.json'), path.join(target, 'package.json'));
  await symlink(LIBRARY, path.join(target, 'dist'));
  for (const name of ['build', 'prebuilds', 'node_modules']) {
    await symlink(path.join(PACKAGE_ROOT.directory, name), path.join(target, name));
  }
  return folder;
}

async function bundled(t: Test, { format, external, installed }: Bundle): Promise<string> {
  const folder = await application(t, installed);
  const outfile = path.join(folder, `out/program.${format === 'cjs' ? 'cjs' : 'mjs'}`);
  await build({
    stdin: { contents: PROGRAM, resolveDir: folder },
    bundle: true,
    platform: 'node',
    format,
    outfile,
    logLevel: 'silent',
    ...(format === 'esm' ? { banner: { js: BANNER } } : {}),
    ...(external
      ? { external: ['seekable-oci'] }
      : { alias: { 'seekable-oci': path.join(LIBRARY, 'index.js') } }),
  });
  return (await run(process.execPath, [outfile], { cwd: folder })).stdout;
}

for (const format of ['esm', 'cjs'] as const) {
  for (const external of [true, false]) {
    t.test(`${format}, ${external ? 'left out of the bundle' : 'swallowed by it'}`, async t => {
      const stdout = await bundled(t, { format, external, installed: true });
      t.equal(stdout, `seekable-oci/${PACKAGE_ROOT.version}\n`);
    });
  }
  t.test(`${format}, swallowed and installed nowhere`, async t => {
    const failed = bundled(t, { format, external: false, installed: false });
    await t.rejects(failed, { message: /ERR_SOCI_ADDON/ });
    await t.rejects(failed, { message: /--external:seekable-oci/ });
  });
}
