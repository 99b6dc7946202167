/**
 * One layer of homogeneous data as different gzip writers store it: with blocks
 * that end, and in a single block, as igzip -0 does and Go's compress/gzip from
 * 1.27 on where its code goes on to fit.
 */
import { spawnSync } from 'node:child_process';
import { createWriteStream, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { oneBlockGzip } from '../test/span/one-block-gzip.js';
import { ztocOf } from './corpus.js';
import { run } from './process.js';
import { tarFile, tarTrailer } from './tar-bytes.js';
import { cached } from './workspace.js';

const TABLES = 3;
const TABLE_BYTES = 32e6;
const NOTE = Buffer.from('a small file between large tables\n'.repeat(100));

/** Small files: the first one in the middle of the layer, then one a table later, then one before both. */
export const SMALL_FILES: readonly string[] = ['notes/1', 'notes/2', 'notes/0'];

/** Rows of one table, like enough to each other that one code serves all of them. */
function table(number: number): Buffer {
  const data = Buffer.alloc(TABLE_BYTES, '\n');
  let state = number + 1;
  for (let at = 0; at < TABLE_BYTES - 64; ) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    at += data.write(`${state % 9973},${(state >>> 9) % 997},row,${state >>> 20}\n`, at, 'latin1');
  }
  return data;
}

function tar(): Buffer {
  const files: Buffer[] = [];
  for (let i = 0; i < TABLES; i++)
    files.push(tarFile(`tables/${i}.csv`, table(i)), tarFile(`notes/${i}`, NOTE));
  return Buffer.concat([...files, tarTrailer]);
}

export interface WrittenLayer {
  readonly writer: string;
  readonly path: string;
  readonly ztoc: string;
}

const WRITERS: Readonly<Record<string, (partial: string) => Promise<void>>> = {
  'gzip -6': partial => pipeline(Readable.from([tar()]), createGzip(), createWriteStream(partial)),
  'one block': async partial => writeFileSync(partial, oneBlockGzip(tar())),
  'igzip -0': async partial => {
    const plain = `${partial}.tar`;
    writeFileSync(plain, tar());
    await run('sh', ['-c', 'igzip -0 -c "$0" > "$1" && rm "$0"', plain, partial]);
  },
};

/** By every writer that is there, with ztocs. */
export async function giantBlockLayers(): Promise<readonly WrittenLayer[]> {
  const layers: WrittenLayer[] = [];
  for (const [writer, make] of Object.entries(WRITERS)) {
    if (writer.startsWith('igzip') && spawnSync('igzip', ['--version']).error !== undefined) continue;
    const path = await cached(`tables-${writer.replaceAll(' ', '')}.tar.gz`, make);
    layers.push({ writer, path, ztoc: await ztocOf(path) });
  }
  return layers;
}
