/**
 * Prints the directory of node-addon-api's headers for binding.gyp. They are only needed to compile: in a clone
 * they are inside the development dependency, in the npm tarball in native/node-addon-api (copied there by
 * `prepack`), so that those who use a prebuild install nothing for it.
 */
const { existsSync } = require('node:fs');
const path = require('node:path');

function headers() {
  const packed = path.join(__dirname, 'node-addon-api');
  if (existsSync(packed)) return packed;
  try {
    return path.dirname(require.resolve('node-addon-api/package.json'));
  } catch {
    throw new Error(
      'expected native/node-addon-api or the package node-addon-api, found neither (run npm ci)',
    );
  }
}

// gyp wants forward slashes, relative to binding.gyp.
process.stdout.write(path.relative(path.dirname(__dirname), headers()).split(path.sep).join('/'));
