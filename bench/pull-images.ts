/**
 * Images that are pulled: the machine's own files in one layer and in ten, and
 * many small files, in the storage of a docker-registry; each with and without an
 * index.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { convertImage, openImageLocation, RegistryTransport } from '../lib/index.js';
import { startDockerRegistry } from './docker-registry.js';
import { type PushedLayer, pushImageManifest } from './image-manifest.js';
import { pushLayer } from './layout-image.js';
import { loopback } from './link.js';
import { run } from './process.js';
import { tarFile, tarTrailer } from './tar-bytes.js';
import { cached } from './workspace.js';

export type PullImageName = 'one' | 'ten' | 'small';

const MACHINE_BYTES = 1.5e9;
const MACHINE_FILES = 60_000;
const MAX_FILE_BYTES = 60e6;
const SMALL_FILES = 60_000;
const SMALL_BYTES = 2048;
const PARTS = 10;

/** @returns the folder of the registry's storage; images are `bench/NAME:plain` and `bench/NAME:indexed` */
export async function pullImages(): Promise<string> {
  return cached('pull-images', async partial => {
    mkdirSync(partial);
    const list = join(partial, 'files.list');
    // The smallest first would be nothing like an image: as find has them, until there is enough of both.
    const script = `find /usr /opt -xdev \\( -type f -size -${MAX_FILE_BYTES}c -printf '%s %p\\n' -o -type l -printf '0 %p\\n' \\) |
      awk '{ bytes += $1; files++; if (bytes > ${MACHINE_BYTES} && files > ${MACHINE_FILES}) exit; if (bytes > ${MACHINE_BYTES} && $1 > 4000) { bytes -= $1; next } sub(/^[0-9]+ /, ""); print }'`;
    writeFileSync(list, await run('bash', ['-c', script]));
    const registry = await startDockerRegistry(join(partial, 'storage'), loopback());
    const transport = new RegistryTransport({ credentials: null, env: {} });
    try {
      const open = (name: PullImageName, tag: string) =>
        openImageLocation(`${registry.host}/bench/${name}:${tag}`, transport);
      const packed = async (name: string, piece: string): Promise<string> => {
        const tar = join(partial, `${name}.tar.gz`);
        const pack =
          '(tar -cf - --no-recursion --verbatim-files-from -T "$0" 2>/dev/null || [ $? -eq 1 ]) | gzip -6n > "$1"';
        await run('bash', ['-c', `set -o pipefail; ${pack}`, piece, tar]);
        return tar;
      };
      await run('split', ['-n', `l/${PARTS}`, list, join(partial, 'part.')]);
      const parts = (await run('bash', ['-c', 'ls "$0".*', join(partial, 'part')])).trim().split('\n');
      const layers: Readonly<Record<PullImageName, () => Promise<string[]>>> = {
        one: async () => [await packed('one', list)],
        ten: () => Promise.all(parts.map((part, at) => packed(`ten-${at}`, part))),
        small: async () => [await smallFiles(join(partial, 'small.tar.gz'))],
      };
      for (const [name, make] of Object.entries(layers) as [PullImageName, () => Promise<string[]>][]) {
        const plain = open(name, 'plain');
        const pushed: PushedLayer[] = [];
        for (const path of await make()) {
          pushed.push(await pushLayer(plain.repository, path));
          rmSync(path);
        }
        await pushImageManifest(plain.repository, pushed, 'plain');
        const indexed = open(name, 'indexed');
        await convertImage(plain, indexed, { minLayerSize: 0 });
        await Promise.all([plain.repository.close(), indexed.repository.close()]);
      }
    } finally {
      await transport.close();
      await registry.stop();
    }
  });
}

/** In a few hundred folders; half of each file's bytes do not repeat. */
async function smallFiles(path: string): Promise<string> {
  function* entries(): Generator<Uint8Array> {
    for (let i = 0; i < SMALL_FILES; i++) {
      const seed = createHash('sha256').update(String(i)).digest('hex');
      yield tarFile(
        `files/${i % 300}/file-${i}.txt`,
        Buffer.from(
          seed.repeat(SMALL_BYTES / seed.length / 2) + randomBytes(SMALL_BYTES / 4).toString('hex'),
        ),
      );
    }
    yield tarTrailer;
  }
  await pipeline(Readable.from(entries()), createGzip(), createWriteStream(path));
  return path;
}
