// Packs a layer the way an image builder does: a gzipped tar, with the digests
// of what is stored and of the tar inside.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readlink, stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import tar from 'tar-stream';

/**
 * Writes `found` ({ name, path, stat } of files, { name, body } of new ones) to a
 * layer at `file`, leaving out what is beyond `maxBytes`. Resolves to its
 * descriptor, its diffID and the regular files in it.
 */
export async function packLayer(file, found, { maxBytes, onProgress }) {
  const pack = tar.pack();
  const inside = digestStream();
  const outside = digestStream();
  const written = pipeline(pack, inside, createGzip({ level: 6 }), outside, createWriteStream(file));
  const files = [];
  let bytes = 0;
  const fill = async () => {
    for await (const each of found) {
      const size = each.stat?.size ?? each.body.length;
      if (bytes + size > maxBytes) continue;
      await addEntry(pack, each);
      if (each.stat?.isFile() ?? true) files.push({ ...each, size });
      bytes += size;
      onProgress(bytes);
    }
    pack.finalize();
  };
  await Promise.all([written, fill().catch(error => pack.destroy(error))]);
  const { size } = await stat(file);
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
  return {
    file,
    descriptor: { mediaType, digest: outside.digest(), size },
    diffId: inside.digest(),
    files,
    bytes,
  };
}

function digestStream() {
  const hash = createHash('sha256');
  const through = new Transform({
    transform(chunk, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  return Object.assign(through, { digest: () => `sha256:${hash.digest('hex')}` });
}

async function addEntry(pack, { name, path, stat: found, body }) {
  if (body !== undefined) return entryWritten(pack, { name, mode: 0o644 }, body);
  const header = { name, mode: found.mode & 0o7777, mtime: found.mtime, uid: 0, gid: 0 };
  if (found.isDirectory()) return entryWritten(pack, { ...header, type: 'directory' });
  if (found.isSymbolicLink()) {
    return entryWritten(pack, { ...header, type: 'symlink', linkname: await readlink(path) });
  }
  const entry = pack.entry({ ...header, type: 'file', size: found.size });
  return pipeline(createReadStream(path), entry);
}

function entryWritten(pack, header, body) {
  return new Promise((resolve, reject) => {
    const done = error => (error ? reject(error) : resolve());
    if (body === undefined) pack.entry(header, done);
    else pack.entry(header, body, done);
  });
}
