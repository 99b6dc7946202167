/**
 * The layers that are measured on: a real one, made of the machine's own
 * programs and libraries, and generated ones for what needs size or number.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  createWriteStream,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { buildZtoc, FileSource } from '../lib/index.js';
import { run } from './process.js';
import { tarFile, tarHeader, tarTrailer } from './tar-bytes.js';
import { cached } from './workspace.js';

export const SPAN_SIZE = 4 * 1024 * 1024;
const REAL_BYTES = 320 * 1000 * 1000;

export interface Layer {
  readonly path: string;
  readonly ztocPath: string;
  /** What it is, for the head of the table. */
  readonly description: string;
}

/** Regular files below `folder`, links not followed. */
function* filesBelow(folder: string): Generator<{ path: string; size: number }> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    try {
      if (entry.isDirectory()) yield* filesBelow(path);
      else if (entry.isFile()) yield { path, size: statSync(path).size };
    } catch {
      // Unreadable or gone: another file takes its place.
    }
  }
}

/** Enough files for `bytes`, none above 40 MB so that the mix resembles an image layer's. */
function pickFiles(bytes: number): string[] {
  const picked: string[] = [];
  let total = 0;
  const roots = ['/usr/bin', '/usr/lib', '/usr/share', 'node_modules', dirname(process.execPath)];
  for (const root of roots) {
    for (const { path, size } of filesBelow(root)) {
      if (size > 40e6 || path.includes('\n')) continue;
      picked.push(path);
      total += size;
      if (total >= bytes) return picked;
    }
  }
  return picked;
}

/** Of a kept layer, the path of its ztoc, kept too. */
export async function ztocOf(path: string): Promise<string> {
  return cached(`${path.split('/').at(-1)}.ztoc`, async partial => {
    const source = await FileSource.open(path);
    const { ztoc } = await buildZtoc(source, { spanSize: SPAN_SIZE });
    await source.close();
    writeFileSync(partial, ztoc.encode());
  });
}

export async function realLayer(): Promise<Layer> {
  const path = await cached('real.tar.gz', async partial => {
    const list = `${partial}.list`;
    writeFileSync(list, `${pickFiles(REAL_BYTES).join('\n')}\n`);
    // tar ends with 1 when a file changed meanwhile, which does not matter here.
    const script = '(tar -cf - --no-recursion -T "$0" 2>/dev/null || [ $? -eq 1 ]) | gzip -6 > "$1"';
    await run('bash', ['-c', `set -o pipefail; ${script}`, list, partial]);
    execFileSync('rm', [list]);
  });
  const ztocPath = await ztocOf(path);
  const megabytes = (statSync(path).size / 1e6).toFixed(0);
  return { path, ztocPath, description: `files of this machine, tar + gzip -6, ${megabytes} MB compressed` };
}

/** Of bytes of one kind: how much they compress decides what decoding costs, and what can be had of two threads. */
const KINDS: Readonly<Record<string, { readonly roots: readonly string[]; readonly names: RegExp } | null>> =
  {
    elf: { roots: ['/usr/lib'], names: /\.so/ },
    python: { roots: ['/usr/lib', dirname(dirname(process.execPath)), '/root', '/home'], names: /\.py$/ },
    javascript: { roots: ['node_modules'], names: /\.js$/ },
    text: { roots: ['/usr/share/doc'], names: /\/copyright$/ },
    random: null,
  };
const KIND_BYTES = 64 * 1024 * 1024;
const KIND_PIECE = 1024 * 1024;

/** Gzip layers of up to 64 MiB of one kind of bytes each, by kind. */
export async function layersByKind(): Promise<Readonly<Record<string, string>>> {
  const layers: Record<string, string> = {};
  for (const kind of Object.keys(KINDS)) {
    const make = (partial: string) =>
      pipeline(Readable.from(tarOfKind(kind)), createGzip(), createWriteStream(partial));
    layers[kind] = await cached(`kind-${kind}.tar.gz`, make);
  }
  return layers;
}

function* tarOfKind(kind: string): Generator<Uint8Array> {
  const chosen = KINDS[kind];
  const bytes = chosen ? bytesOfFiles(chosen) : randomBytes(KIND_BYTES);
  for (let at = 0; at < bytes.length; at += KIND_PIECE) {
    yield tarFile(`piece-${at}`, bytes.subarray(at, at + KIND_PIECE));
  }
  yield tarTrailer;
}

function bytesOfFiles({
  roots,
  names,
}: {
  readonly roots: readonly string[];
  readonly names: RegExp;
}): Buffer {
  const files: Buffer[] = [];
  let total = 0;
  for (const root of roots.filter(folder => existsSync(folder))) {
    for (const { path, size } of filesBelow(root)) {
      if (size > 40e6 || !names.test(path)) continue;
      files.push(readFileSync(path));
      total += size;
      if (total >= KIND_BYTES) return Buffer.concat(files).subarray(0, KIND_BYTES);
    }
  }
  return Buffer.concat(files);
}

/** An uncompressed layer of small files, for the table of contents alone. */
export async function manyEntriesZtoc(entries: number): Promise<string> {
  const layer = await cached(`entries-${entries}.tar`, async partial => {
    const file = openSync(partial, 'w');
    for (let first = 0; first < entries; first += 1000) {
      const names = Array.from({ length: Math.min(1000, entries - first) }, (_, i) => entryName(first + i));
      writeFileSync(file, Buffer.concat(names.map(name => tarFile(name, Buffer.from(name)))));
    }
    writeFileSync(file, tarTrailer);
    closeSync(file);
  });
  return ztocOf(layer);
}

export function entryName(index: number): string {
  return `usr/lib/node_modules/package-${index % 997}/lib/part-${index % 31}/file-${index}.js`;
}

/** Layers of an image of many names, lowest first. */
const NAMED_LAYERS = 6;
const NAMES_PER_LAYER = 50_000;
/** Of a layer's names, how many replace one of the layer below, and how many take one away. */
const REPLACED = 2_500;
const REMOVED = 100;
export const MANY_NAMES: number = NAMED_LAYERS * NAMES_PER_LAYER;

/** Gzip layers of empty files that lie in each other's directories, replace each other and take each other away. */
export async function manyNamesLayers(): Promise<readonly string[]> {
  const layers: string[] = [];
  for (let layer = 0; layer < NAMED_LAYERS; layer++) {
    const make = (partial: string) =>
      pipeline(Readable.from(namesOfLayer(layer)), createGzip(), createWriteStream(partial));
    layers.push(await cached(`names-${MANY_NAMES}-${layer}.tar.gz`, make));
  }
  return layers;
}

function* namesOfLayer(layer: number): Generator<Uint8Array> {
  const first = layer * (NAMES_PER_LAYER - REPLACED - REMOVED);
  for (let i = 0; i < NAMES_PER_LAYER; i++) {
    const { dir, base } = posix.parse(entryName(first + i));
    const whiteout = layer > 0 && i < REMOVED;
    yield tarHeader(`${dir}/${whiteout ? '.wh.' : ''}${base}`, 0);
  }
  yield tarTrailer;
}

/** A name in the uppermost of these layers. */
export function lastName(): string {
  return entryName((NAMED_LAYERS - 1) * (NAMES_PER_LAYER - REPLACED - REMOVED) + NAMES_PER_LAYER - 1);
}
