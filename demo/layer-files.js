// What goes into the demo's layers: files that any machine with a clone of this
// repository has, Node's own installation and node_modules.
import { lstat, readdir, realpath } from 'node:fs/promises';
import path from 'node:path';

/** Yields { name in the image, path on this machine, stat } for Node's installation. */
export async function* nodeInstallation() {
  const node = await realpath(process.execPath);
  const prefix = path.dirname(path.dirname(node));
  yield { name: 'usr/bin/node', path: node, stat: await lstat(node) };
  for (const part of ['lib/node_modules', 'include/node', 'share/doc/nodejs']) {
    yield* walk(path.join(prefix, part), path.posix.join('usr', part));
  }
}

/** The same for this repository's node_modules. */
export function nodeModules() {
  return walk(path.join(import.meta.dirname, '..', 'node_modules'), 'app/node_modules');
}

async function* walk(directory, name) {
  let entries;
  try {
    entries = await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return;
    throw error;
  }
  yield { name: `${name}/`, path: directory, stat: await lstat(directory) };
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const found = { name: `${name}/${entry.name}`, path: path.join(directory, entry.name) };
    if (entry.isDirectory()) yield* walk(found.path, found.name);
    else if (entry.isFile() || entry.isSymbolicLink()) yield { ...found, stat: await lstat(found.path) };
  }
}
