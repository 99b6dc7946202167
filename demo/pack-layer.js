// Packs a layer the way an image builder does, out of files that any machine
// with a clone of this repository has: Node's own installation and node_modules.
import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, readdir, readlink, realpath } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import tar from 'tar-stream';

/**
 * Writes a gzipped tar to `file` and resolves to the regular files in it, as
 * { name in the layer, path on this machine, size in bytes }. Stops adding
 * files once `maxBytes` of them are in.
 */
export async function packLayer(file, { maxBytes, onProgress }) {
  const pack = tar.pack();
  const written = pipeline(pack, createGzip({ level: 6 }), createWriteStream(file));
  const files = [];
  let bytes = 0;
  const fill = async () => {
    for await (const found of filesOfThisMachine()) {
      if (bytes + found.stat.size > maxBytes) continue;
      await addEntry(pack, found);
      if (found.stat.isFile()) files.push({ name: found.name, path: found.path, size: found.stat.size });
      bytes += found.stat.size;
      onProgress(Math.min(bytes, maxBytes));
    }
    pack.finalize();
  };
  await Promise.all([written, fill().catch(error => pack.destroy(error))]);
  return files;
}

async function* filesOfThisMachine() {
  const node = await realpath(process.execPath);
  const prefix = path.dirname(path.dirname(node));
  yield { name: 'usr/bin/node', path: node, stat: await lstat(node) };
  for (const part of ['lib/node_modules', 'include/node', 'share/doc/nodejs']) {
    yield* walk(path.join(prefix, part), path.posix.join('usr', part));
  }
  yield* walk(path.join(import.meta.dirname, '..', 'node_modules'), 'app/node_modules');
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

async function addEntry(pack, { name, path: source, stat }) {
  const header = { name, mode: stat.mode & 0o7777, mtime: stat.mtime, uid: 0, gid: 0 };
  if (stat.isDirectory()) return entryWritten(pack, { ...header, type: 'directory' });
  if (stat.isSymbolicLink()) {
    return entryWritten(pack, { ...header, type: 'symlink', linkname: await readlink(source) });
  }
  const entry = pack.entry({ ...header, type: 'file', size: stat.size });
  return pipeline(createReadStream(source), entry);
}

function entryWritten(pack, header) {
  return new Promise((resolve, reject) => pack.entry(header, error => (error ? reject(error) : resolve())));
}
