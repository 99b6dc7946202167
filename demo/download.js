// What a reader without an index does: fetch every layer and untar it. Files are
// not even written, so this is the least that it can cost.
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import tar from 'tar-stream';

/** Resolves to the bytes of all files. */
export async function downloadAndUntar(repositoryUrl, layers) {
  let size = 0;
  for (const { descriptor } of layers) {
    const response = await fetch(`${repositoryUrl}/blobs/${descriptor.digest}`);
    const extract = tar.extract();
    extract.on('entry', (_header, stream, next) => {
      const count = new Writable({
        write(chunk, _encoding, done) {
          size += chunk.length;
          done();
        },
      });
      pipeline(stream, count).then(() => next(), next);
    });
    await pipeline(Readable.fromWeb(response.body), createGunzip(), extract);
  }
  return size;
}
