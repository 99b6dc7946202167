/**
 * Prints the directory of the zlib sources for binding.gyp. In a clone they are inside the development
 * dependency zlib-sync, in the npm tarball in native/zlib (copied there by `prepack`). Another release
 * may move block boundaries or checks, so anything but the pinned one is refused.
 */
const { createHash } = require('node:crypto');
const { existsSync, readFileSync } = require('node:fs');
const path = require('node:path');

const VERSION = '1.3.1';
const INFLATE_SHA256 = '34c998ce0037c0537c04b03b276f680b945f9b2c9d1e01b287605bd6879f7fd2';

function zlibDirectory() {
  const packed = path.join(__dirname, 'zlib');
  if (existsSync(packed)) return packed;
  try {
    return path.join(path.dirname(require.resolve('zlib-sync/package.json')), 'deps', 'zlib');
  } catch {
    throw new Error(
      `zlib sources: expected native/zlib or the package zlib-sync, found neither (run npm ci)`,
    );
  }
}

const directory = zlibDirectory();
const version = /ZLIB_VERSION "([^"]+)"/.exec(readFileSync(path.join(directory, 'zlib.h'), 'utf8'))?.[1];
if (version !== VERSION) {
  throw new Error(`zlib sources: expected version ${VERSION}, found ${version} in ${directory}`);
}
const digest = createHash('sha256')
  .update(readFileSync(path.join(directory, 'inflate.c')))
  .digest('hex');
if (digest !== INFLATE_SHA256) {
  throw new Error(`zlib sources: inflate.c of ${VERSION} has SHA-256 ${INFLATE_SHA256}, found ${digest}`);
}
// gyp wants forward slashes, relative to binding.gyp.
process.stdout.write(path.relative(path.dirname(__dirname), directory).split(path.sep).join('/'));
