// The whole story with nothing but this machine: pack an image of three layers,
// push it to a registry inside this process, index it without changing it, then
// read single files lazily, and a second time out of a store; then pull all of it
// to files, beside what a download and tar take.
import { subscribe } from 'node:diagnostics_channel';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { byteText } from '../.lib-build/cli/byte-text.js';
import { ProgressBar } from '../.lib-build/cli/progress-bar.js';
import {
  createIndex,
  hostPlatform,
  openImage,
  openImageLocation,
  pullImage,
  pushIndex,
  ReadContext,
  RegistryTransport,
  Store,
} from '../dist/index.js';
import { LayoutStorage, TestRegistry } from '../dist/testing/testing.js';
import { downloadAndUntar } from './download.js';
import { nodeInstallation, nodeModules } from './layer-files.js';
import { packLayer } from './pack-layer.js';
import { pushImage } from './push-image.js';

const WANTED_SIZES = [1024, 32 * 1024, 1024 ** 2, 8 * 1024 ** 2, Number.POSITIVE_INFINITY];

/** Of everything that comes through the HTTP client. */
const traffic = { requests: 0, bytes: 0 };
subscribe('seekable-oci:http:request', ({ bytes }) => {
  traffic.requests++;
  traffic.bytes += bytes;
});

async function main() {
  const { values } = parseArgs({ options: { 'max-bytes': { type: 'string', default: String(400e6) } } });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'seekable-oci-demo-'));
  const registry = await TestRegistry.start({
    storage: new LayoutStorage({ 'demo/app': path.join(folder, 'registry') }),
  });
  const transport = new RegistryTransport({ credentials: null });
  const name = `${registry.host}/demo/app:1.0`;
  const target = openImageLocation(name, transport);
  try {
    const layers = await packImage(folder, Number(values['max-bytes']));
    await pushImage(target, layers, hostPlatform());
    await index(target, layers);
    const rows = await readLazily(name, layers);
    rows.push(...(await startTwice(name, layers, path.join(folder, 'store'))));
    rows.push(await pull(name, layers, path.join(folder, 'root')));
    rows.push(await untar(`${registry.url}/v2/demo/app`, layers));
    printTable(rows, sizeOf(layers));
  } finally {
    await target.repository.close();
    await transport.close();
    await registry.close();
    await rm(folder, { recursive: true });
  }
}

/** Node's installation, node_modules above it, and a small layer that changes one file and removes another. */
async function packImage(folder, maxBytes) {
  const layers = [];
  for (const found of [nodeInstallation(), nodeModules()]) {
    layers.push(await pack(folder, layers.length, found, maxBytes / 2));
  }
  const [changed, removed] = layers[1].files.filter(({ name }) => name.endsWith('/README.md'));
  const whiteout = path.posix.join(
    path.posix.dirname(removed.name),
    `.wh.${path.posix.basename(removed.name)}`,
  );
  const upper = [
    { name: changed.name, body: Buffer.from('changed in the topmost layer\n') },
    { name: whiteout, body: Buffer.alloc(0) },
  ];
  layers.push({ ...(await pack(folder, 2, upper, maxBytes)), changed, removed });
  for (const { descriptor, bytes, files } of layers) {
    console.log(`layer   ${byteText(descriptor.size)} gzip -6, ${byteText(bytes)} in ${files.length} files`);
  }
  return layers;
}

function pack(folder, number, found, maxBytes) {
  const file = path.join(folder, `layer-${number}.tar.gz`);
  return withBar(`packing layer ${number}`, undefined, onProgress =>
    packLayer(file, found, { maxBytes, onProgress }),
  );
}

async function index(target, layers) {
  const { ms, result } = await measured(() =>
    withBar('indexing', sizeOf(layers), async onProgress => {
      const done = new Map();
      const onEvent = event => {
        if (event.type !== 'layer-progress') return;
        done.set(event.layer.digest, event.bytes);
        onProgress([...done.values()].reduce((sum, bytes) => sum + bytes, 0));
      };
      // Small layers too: what has no ztoc must be read whole by every reader.
      const created = await createIndex(target, { minLayerSize: 0, onEvent });
      await pushIndex(created);
      return created;
    }),
  );
  const ztocs = result.indexes[0].layers.map(({ ztoc }) => ztoc);
  const bytes = ztocs.reduce((sum, ztoc) => sum + ztoc.bytes.length, 0);
  const spans = ztocs.reduce((sum, ztoc) => sum + ztoc.spanCount, 0);
  console.log(`index   ${byteText(bytes)} of ztocs, ${spans} spans, built and pushed in ${seconds(ms)}\n`);
}

async function readLazily(name, layers) {
  const rows = [];
  const opening = await measured(async () => {
    const image = await openImage(name, { credentials: null });
    return { image, names: await image.readdir('/', { recursive: true }) };
  });
  const { image, names } = opening.result;
  rows.push({ name: `(open, list ${names.length} names)`, size: '', ...opening });
  try {
    for (const file of pickFiles(layers)) {
      const read = await measured(() => image.readFile(file.name));
      const original = file.body ?? (await readFile(file.path));
      if (!read.result.equals(original)) throw new Error(`${file.name} is not what was packed`);
      rows.push({ name: file.name, size: byteText(file.size), ...read });
    }
    const gone = await image.access(layers[2].removed.name).catch(error => error.code);
    if (gone !== 'ENOENT') throw new Error(`${layers[2].removed.name} should have been removed`);
  } finally {
    await image.close();
  }
  const sum = key => rows.reduce((total, row) => total + row[key], 0);
  const all = { ms: sum('ms'), requests: sum('requests'), bytes: sum('bytes') };
  return [...rows, { name: '(all of the above)', size: '', ...all }];
}

/** The same image with a store, by two starts that share nothing else: the second one asks what the tag names. */
async function startTwice(name, layers, folder) {
  const rows = [];
  for (const start of ['first', 'second']) {
    const read = await measured(async () => {
      const store = await Store.open(folder, { maxBytes: 1024 ** 3 });
      const image = await openImage(name, { credentials: null, store, context: new ReadContext() });
      try {
        for (const file of pickFiles(layers)) {
          const original = file.body ?? (await readFile(file.path));
          if (!(await image.readFile(file.name)).equals(original)) {
            throw new Error(`${file.name} is not what was packed`);
          }
        }
      } finally {
        await image.close();
        await store.close();
      }
    });
    rows.push({ name: `(the same with a store, ${start} start)`, size: '', ...read });
  }
  const [, second] = rows;
  if (second.requests !== 1)
    throw new Error(`the second start made ${second.requests} requests, expected one`);
  return rows;
}

/** One file per wanted size, the nearest on a logarithmic scale, no file twice; and the one that was changed. */
function pickFiles([lower, middle, upper]) {
  const distance = (file, size) => Math.abs(Math.log(file.size / Math.min(size, Number.MAX_SAFE_INTEGER)));
  const candidates = new Set([...lower.files, ...middle.files].filter(file => file.size > 0));
  candidates.delete(upper.changed);
  candidates.delete(upper.removed);
  const picked = WANTED_SIZES.map(size => {
    const best = [...candidates].reduce((a, b) => (distance(b, size) < distance(a, size) ? b : a));
    candidates.delete(best);
    return best;
  });
  return [upper.files[0], ...picked];
}

/** All of it as files, each held against what was packed. */
async function pull(name, layers, root) {
  const { result, ...cost } = await measured(() =>
    withBar('pulling', sizeOf(layers), onProgress =>
      pullImage(name, {
        credentials: null,
        targets: [`rootfs:${root}`],
        onProgress: ({ totalBytes }) => onProgress(totalBytes),
      }),
    ),
  );
  const { removed } = layers[2];
  for (const file of pickFiles(layers)) {
    const original = file.body ?? (await readFile(file.path));
    const pulled = await readFile(path.join(root, file.name));
    if (!pulled.equals(original)) throw new Error(`${file.name} was pulled as something else`);
  }
  const gone = await readFile(path.join(root, removed.name)).catch(error => error.code);
  if (gone !== 'ENOENT') throw new Error(`${removed.name} should have been removed`);
  return { name: '(pull all as files, proved)', size: byteText(result.size), ...cost };
}

async function untar(repositoryUrl, layers) {
  const { ms, result } = await measured(() => downloadAndUntar(repositoryUrl, layers));
  // Manifest and config come on top, as for everybody.
  return {
    name: '(download all, untar)',
    size: byteText(result),
    requests: layers.length,
    bytes: sizeOf(layers),
    ms,
  };
}

async function measured(work) {
  const before = { ...traffic };
  const started = performance.now();
  const result = await work();
  const ms = performance.now() - started;
  const requests = traffic.requests - before.requests;
  return { result, ms, requests, bytes: traffic.bytes - before.bytes };
}

async function withBar(label, total, work) {
  const bar = new ProgressBar(label, total);
  try {
    return await work(done => bar.update(done));
  } finally {
    bar.end();
  }
}

function sizeOf(layers) {
  return layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

function printTable(rows, imageSize) {
  const lines = [
    ['file', 'size', 'requests', 'fetched', 'of image', 'time'],
    ...rows.map(row => [
      row.name.length > 44 ? `…${row.name.slice(-43)}` : row.name,
      row.size,
      String(row.requests),
      byteText(row.bytes),
      `${((100 * row.bytes) / imageSize).toFixed(1)} %`,
      `${row.ms.toFixed(0)} ms`,
    ]),
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map(line => line[column].length)));
  for (const line of lines) {
    const cells = line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    console.log(cells.join('  '));
  }
  console.log('\nEvery file read is compared with its original, byte for byte.');
}

await main();
