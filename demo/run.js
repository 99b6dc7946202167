// The main job of this package on a real layer, with nothing but this machine:
// pack a layer, build its ztoc, put the layer behind HTTP, then read single
// files out of it lazily, beside what fetching and unpacking all of it costs.
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { get } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { createGunzip } from 'node:zlib';
import tar from 'tar-stream';

import { byteText } from '../dist/cli/byte-text.js';
import { ProgressBar } from '../dist/cli/progress-bar.js';
import { buildZtoc, FileSource, HttpSource, openLayer } from '../dist/index.js';
import { serveLayer } from './layer-server.js';
import { packLayer } from './pack-layer.js';

const WANTED_SIZES = [1024, 32 * 1024, 1024 ** 2, 8 * 1024 ** 2, Number.POSITIVE_INFINITY];

async function main() {
  const { values } = parseArgs({ options: { 'max-bytes': { type: 'string', default: String(400e6) } } });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'seekable-oci-demo-'));
  try {
    await demo(path.join(folder, 'layer.tar.gz'), Number(values['max-bytes']));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function demo(layerFile, maxBytes) {
  const files = await withBar('packing a layer', maxBytes, onProgress =>
    packLayer(layerFile, { maxBytes, onProgress }),
  );
  const { size } = await stat(layerFile);
  const unpacked = files.reduce((sum, file) => sum + file.size, 0);
  console.log(`layer   ${byteText(size)} gzip -6, ${byteText(unpacked)} in ${files.length} files`);

  const started = performance.now();
  const ztoc = await withBar('building its ztoc', size, onProgress => build(layerFile, onProgress));
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `ztoc    ${byteText(ztoc.bytes.length)}, ${ztoc.spanCount} spans, in ${seconds.toFixed(1)} s\n`,
  );

  const server = await serveLayer(layerFile);
  try {
    const rows = [];
    for (const file of pickFiles(files)) rows.push(await readLazily(server.url, ztoc, file, size));
    rows.push(await downloadAndUntar(server.url, size));
    printTable(rows);
    console.log('\nEvery file is compared with its original, byte for byte. Every row starts cold.');
  } finally {
    await server.close();
  }
}

async function build(layerFile, onProgress) {
  const source = await FileSource.open(layerFile);
  try {
    return (await buildZtoc(source, { onProgress })).ztoc;
  } finally {
    await source.close();
  }
}

/** One file per wanted size, the nearest on a logarithmic scale, no file twice. */
function pickFiles(files) {
  const distance = (file, size) => Math.abs(Math.log(file.size / Math.min(size, Number.MAX_SAFE_INTEGER)));
  const candidates = new Set(files.filter(file => file.size > 0));
  return WANTED_SIZES.map(size => {
    const best = [...candidates].reduce((a, b) => (distance(b, size) < distance(a, size) ? b : a));
    candidates.delete(best);
    return best;
  });
}

async function readLazily(url, ztoc, file, layerSize) {
  const started = performance.now();
  const source = await HttpSource.open(url, { size: layerSize });
  const layer = await openLayer(source, ztoc, { closeSource: true });
  try {
    const bytes = await layer.readFile(file.name);
    const ms = performance.now() - started;
    if (!bytes.equals(await readFile(file.path))) throw new Error(`${file.name} is not what was packed`);
    const { decodedSpans, requests, fetchedBytes } = layer.stats;
    return {
      name: file.name,
      size: file.size,
      spans: decodedSpans,
      requests,
      fetched: fetchedBytes,
      layerSize,
      ms,
    };
  } finally {
    await layer.close();
  }
}

/** What a reader without a ztoc does. Files are not even written, so this is the least it can cost. */
async function downloadAndUntar(url, layerSize) {
  const started = performance.now();
  const response = await new Promise((resolve, reject) => get(url, resolve).on('error', reject));
  let size = 0;
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
  await pipeline(response, createGunzip(), extract);
  const ms = performance.now() - started;
  return { name: '(download all, untar)', size, spans: '-', requests: 1, fetched: layerSize, layerSize, ms };
}

async function withBar(label, total, work) {
  const bar = new ProgressBar(label, total);
  try {
    return await work(done => bar.update(done));
  } finally {
    bar.end();
  }
}

function printTable(rows) {
  const lines = [
    ['file', 'size', 'spans', 'requests', 'fetched', 'of layer', 'time'],
    ...rows.map(row => [
      row.name.length > 44 ? `…${row.name.slice(-43)}` : row.name,
      byteText(row.size),
      String(row.spans),
      String(row.requests),
      byteText(row.fetched),
      `${((100 * row.fetched) / row.layerSize).toFixed(1)} %`,
      `${row.ms.toFixed(0)} ms`,
    ]),
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map(line => line[column].length)));
  for (const line of lines) {
    const cells = line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    console.log(cells.join('  '));
  }
}

await main();
