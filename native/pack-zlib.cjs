/**
 * `copy` (npm prepack) puts the zlib sources and their licence into native/zlib, so that the tarball can be
 * compiled where no prebuild fits; `clean` (postpack) removes them again: the repository holds no third-party
 * code.
 */
const { execFileSync } = require('node:child_process');
const { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const packed = path.join(__dirname, 'zlib');

/** The first comment of zlib.h: copyright notice and terms. */
function licence(directory) {
  const comment = /\/\*([\s\S]*?)\*\//.exec(readFileSync(path.join(directory, 'zlib.h'), 'utf8'))?.[1];
  const terms = comment?.slice(0, comment.indexOf('The data format used'));
  if (!terms?.includes('Permission is granted')) throw new Error(`no licence text in ${directory}/zlib.h`);
  return `${terms.trim()}\n`;
}

rmSync(packed, { recursive: true, force: true });
if (process.argv[2] === 'copy') {
  const root = path.dirname(__dirname);
  const found = execFileSync(process.execPath, [path.join(__dirname, 'zlib-dir.cjs')], { encoding: 'utf8' });
  const source = path.resolve(root, found);
  mkdirSync(packed);
  for (const name of readdirSync(source)) {
    if (/\.[ch]$/.test(name)) copyFileSync(path.join(source, name), path.join(packed, name));
  }
  writeFileSync(path.join(packed, 'LICENSE'), licence(source));
}
