/**
 * What each part of planning requests is worth in the situation that it is made
 * for: the same reads with it and without, behind a relay that delays.
 */
import { once } from 'node:events';
import { createReadStream, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildZtoc } from '../../lib/index.js';
import { openRelay } from '../delayed-relay.js';
import { type Contest, inPairs, intervalOf, type Pair } from '../paired.js';
import { trial } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { median } from '../rounds.js';
import { tarFile, tarTrailer } from '../tar-bytes.js';
import type { PlanningParameters } from '../trials/planning.js';

const PAIRS = 9;
const SPEED = { roundTripMs: 20, megabits: 200 };
const REQUIRED = 1.3;

/** A layer of files that others are far from repeating, in a folder of its own. */
interface ServedLayer {
  readonly path: string;
  readonly ztoc: string;
}

type LayerName = 'small' | 'patchy' | 'large';

/** What each part is made for, and the layer that shows it. */
const SITUATIONS: Readonly<
  Record<PlanningParameters['situation'], { readonly layer: LayerName; readonly what: string }>
> = {
  joins: { layer: 'small', what: '300 readers at once, a file each: one request for neighbours' },
  bridges: {
    layer: 'patchy',
    what: 'a file of which every second span was read before: those are read over',
  },
  overlaps: { layer: 'large', what: '8 readers at once, average wait: a span is decoded when it is there' },
  'read-ahead': { layer: 'large', what: 'a file of 32 MB, 64 KiB at a time' },
  rest: { layer: 'small', what: 'all files of a layer, one after the other in no order' },
};

/** Hexadecimal digits, which deflate makes half as long. */
function digits(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = '0123456789abcdef'.charCodeAt(state >>> 28);
  }
  return bytes;
}

async function packed(path: string, tar: Buffer, spanSize: number, memLevel: number): Promise<ServedLayer> {
  // Short blocks: spans can only begin between two.
  const layer = gzipSync(tar, { memLevel });
  writeFileSync(path, layer);
  const { ztoc } = await buildZtoc(layer, { spanSize });
  writeFileSync(`${path}.ztoc`, ztoc.encode());
  return { path, ztoc: `${path}.ztoc` };
}

async function layersIn(folder: string): Promise<Readonly<Record<LayerName, ServedLayer>>> {
  const files = Array.from({ length: 300 }, (_, i) => tarFile(`small/${i}`, digits(8192, i + 1)));
  const small = Buffer.concat([...files, tarTrailer]);
  const patchy = Buffer.concat([tarFile('patchy', digits(2.5e6, 5)), tarTrailer]);
  const large = Buffer.concat([tarFile('large', digits(32e6, 7)), tarTrailer]);
  return {
    small: await packed(join(folder, 'small'), small, 8192, 4),
    patchy: await packed(join(folder, 'patchy'), patchy, 8192, 4),
    large: await packed(join(folder, 'large'), large, 4 * 1024 * 1024, 8),
  };
}

/** Single ranges of the files of a folder (RFC 9110 §14). */
async function serve(folder: string): Promise<Server> {
  const server = createServer((request, response) => {
    const path = join(folder, (request.url ?? '').slice(1));
    const { size } = statSync(path);
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const start = Number(match?.[1] ?? 0);
    const end = Math.min(Number(match?.[2] ?? size - 1), size - 1);
    response.writeHead(match ? 206 : 200, {
      'content-length': end - start + 1,
      ...(match ? { 'content-range': `bytes ${start}-${end}/${size}` } : {}),
    });
    createReadStream(path, { start, end }).pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

export async function planning(): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-planning-'));
  const layers = await layersIn(folder);
  const server = await serve(folder);
  const relay = await openRelay((server.address() as AddressInfo).port, SPEED);
  try {
    const contests = Object.entries(SITUATIONS).map(([situation, { layer }]): Contest => {
      const run = (part: 'on' | 'off') => () =>
        trial('planning', {
          situation,
          part,
          url: `http://${relay.host}/${layer}`,
          ztoc: layers[layer].ztoc,
        });
      return { name: situation, ours: run('on'), theirs: run('off') };
    });
    const results = await inPairs(PAIRS, contests);
    const failures: string[] = [];
    const rows = Object.entries(SITUATIONS).map(([name, { what }]): Row => {
      const pairs = results.get(name) ?? [];
      const gain = intervalOf(pairs.map(({ ours, theirs }) => of(theirs) / of(ours)));
      if (gain.median < REQUIRED)
        failures.push(`${name}: ${times(gain.median)}, expected ${times(REQUIRED)}`);
      const interval = `[${gain.low.toFixed(2)}, ${gain.high.toFixed(2)}]`;
      const ratio = `${times(gain.median)} ${interval} of the time without (${milliseconds(pairs, 'theirs')}, ${requests(pairs, 'theirs')} requests): ${what}`;
      return { name, value: `${milliseconds(pairs, 'ours')}, ${requests(pairs, 'ours')} requests`, ratio };
    });
    const conditions = `a round trip of ${SPEED.roundTripMs} ms, ${SPEED.megabits} Mbit/s, in the benchmark's own process; a layer of 300 files of 8 KiB and one of a file of 2.5 MB, both in spans of 8 KiB, and one of a file of 32 MB in spans of 4 MiB; HTTP/1.1, nothing cached, ztoc at hand; medians of ${PAIRS} pairs of processes`;
    return { title: 'planning of requests', conditions, rows, failures, raw: Object.fromEntries(results) };
  } finally {
    await relay.close();
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  }
}

function of({ milliseconds }: Pair['ours']): number {
  return milliseconds ?? Number.NaN;
}

function milliseconds(pairs: readonly Pair[], side: keyof Pair): string {
  return `${median(pairs.map(pair => of(pair[side]))).toFixed(0)} ms`;
}

function requests(pairs: readonly Pair[], side: keyof Pair): number {
  return median(pairs.map(pair => pair[side]['requests'] ?? Number.NaN));
}
