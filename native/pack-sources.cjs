/**
 * `copy` (npm prepack) puts into native/ what the tarball needs to be compiled where no prebuild fits: the zlib
 * sources and the headers of node-addon-api, each with its licence, for the repository holds no third-party code,
 * and those who use a prebuild need neither package; and binding.gyp, for in the root of a package npm takes it as
 * the order to run node-gyp for everybody. `clean` (postpack) removes all of it again.
 */
const { execFileSync } = require('node:child_process');
const { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const root = path.dirname(__dirname);
const packedZlib = path.join(__dirname, 'zlib');
const packedNodeAddonApi = path.join(__dirname, 'node-addon-api');
const packedGyp = path.join(__dirname, 'binding.gyp');

/** The first comment of zlib.h: copyright notice and terms. */
function licence(directory) {
  const comment = /\/\*([\s\S]*?)\*\//.exec(readFileSync(path.join(directory, 'zlib.h'), 'utf8'))?.[1];
  const terms = comment?.slice(0, comment.indexOf('The data format used'));
  if (!terms?.includes('Permission is granted')) throw new Error(`no licence text in ${directory}/zlib.h`);
  return `${terms.trim()}\n`;
}

/** Without any, every user would need a compiler, and nobody here would notice. */
function requirePrebuilds() {
  if (process.env.SEEKABLE_OCI_PACK_WITHOUT_PREBUILDS === '1') return;
  const names = readdirSync(path.join(root, 'prebuilds'), { recursive: true });
  if (names.some(name => name.endsWith('.node'))) return;
  console.error(
    'npm pack: expected prebuilds/*/*.node, found none: run "npm run build:prebuilds" first,\n' +
      'or set SEEKABLE_OCI_PACK_WITHOUT_PREBUILDS=1 for a package that has to be compiled where it is installed.',
  );
  process.exit(1);
}

/** What one of the scripts that binding.gyp asks says. */
function directoryOf(script) {
  return path.resolve(
    root,
    execFileSync(process.execPath, [path.join(__dirname, script)], { encoding: 'utf8' }),
  );
}

function copyZlib() {
  const source = directoryOf('zlib-dir.cjs');
  mkdirSync(packedZlib);
  for (const name of readdirSync(source)) {
    if (/\.[ch]$/.test(name)) copyFileSync(path.join(source, name), path.join(packedZlib, name));
  }
  writeFileSync(path.join(packedZlib, 'LICENSE'), licence(source));
}

function copyNodeAddonApi() {
  const source = directoryOf('node-addon-api-dir.cjs');
  mkdirSync(packedNodeAddonApi);
  for (const name of ['napi.h', 'napi-inl.h', 'LICENSE.md']) {
    copyFileSync(path.join(source, name), path.join(packedNodeAddonApi, name));
  }
}

rmSync(packedZlib, { recursive: true, force: true });
rmSync(packedNodeAddonApi, { recursive: true, force: true });
rmSync(packedGyp, { force: true });
if (process.argv[2] === 'copy') {
  requirePrebuilds();
  copyZlib();
  copyNodeAddonApi();
  copyFileSync(path.join(root, 'binding.gyp'), packedGyp);
}
