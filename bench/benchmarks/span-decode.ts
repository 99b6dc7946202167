/** Span decoding: the addon against a bare C loop, node:zlib, and itself on two cores. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Ztoc } from '../../lib/index.js';
import { compile } from '../compile.js';
import { type Layer, realLayer } from '../corpus.js';
import { type Measures, trial, yardstick } from '../process.js';
import { megabytesPerSecond, type Report, type Row, times } from '../report.js';
import { inRounds, value } from '../rounds.js';
import { cached } from '../workspace.js';

const ROUNDS = 5;
const PASSES = 3;

/** The spans as span-loop.c reads them. */
async function spanTable(ztoc: Ztoc): Promise<string> {
  return cached(`spans-${ztoc.digest.slice(-12)}`, async partial => {
    const rows = Array.from({ length: ztoc.spanCount }, (_, i) => {
      const span = ztoc.span(i);
      const output = span.uncompressedEnd - span.uncompressedStart;
      const fields = [span.compressedStart, span.compressedEnd, output, span.bits];
      const row = Buffer.alloc(32 + 32768);
      for (const [at, field] of fields.entries()) row.writeBigUInt64LE(BigInt(field), at * 8);
      row.set(ztoc.window(i) ?? new Uint8Array(32768), 32);
      return row;
    });
    writeFileSync(partial, Buffer.concat(rows));
  });
}

async function cLoop(layer: Layer, ztoc: Ztoc): Promise<() => Promise<Measures>> {
  const program = await compile('span-loop');
  const args = [layer.path, await spanTable(ztoc), String(ztoc.spanCount), String(PASSES)];
  return () => yardstick(program, args);
}

export async function spanDecode(): Promise<Report> {
  const layer = await realLayer();
  const ztoc = Ztoc.decode(readFileSync(layer.ztocPath));
  const addon = (concurrency: number, digests: boolean) => () =>
    trial('decodeSpans', {
      layer: layer.path,
      ztoc: layer.ztocPath,
      concurrency,
      digests,
      passes: PASSES,
    });
  const results = await inRounds(ROUNDS, [
    { name: 'C loop over the same zlib', run: await cLoop(layer, ztoc) },
    { name: 'addon, synchronous', run: addon(0, false) },
    { name: 'addon, one job at a time', run: addon(1, false) },
    { name: 'addon, one at a time, SHA-256 checked', run: addon(1, true) },
    { name: 'addon, two at once', run: addon(2, false) },
    { name: 'addon, two at once, SHA-256 checked', run: addon(2, true) },
    { name: 'node:zlib, whole stream', run: () => trial('nodeZlib', { layer: layer.path }) },
  ]);
  const rate = (name: string) => value(results.of(name), 'bytes') / value(results.of(name), 'milliseconds');
  const cpu = (name: string) => value(results.of(name), 'bytes') / value(results.of(name), 'cpu');
  /** On a busy machine CPU time is the fairer measure of what one thread does. */
  const work = (name: string, base: string) => `; by CPU time ${times(cpu(name) / cpu(base))}`;
  const against = (name: string, base: string, aim: string): Row => ({
    name,
    value: megabytesPerSecond(rate(name), 1),
    ratio: `${times(rate(name) / rate(base))} of: ${base}${aim}`,
  });
  const loop = 'C loop over the same zlib';
  return {
    title: 'span decode',
    conditions:
      `${layer.description}; ${ztoc.spanCount} spans of 4 MiB; in memory (warm); ` +
      `medians of ${ROUNDS} processes, fastest of ${PASSES} passes each; ${availableParallelism()} cores`,
    rows: [
      { name: loop, value: megabytesPerSecond(rate(loop), 1) },
      against('addon, synchronous', loop, ` (aim ≥ 0.95×)${work('addon, synchronous', loop)}`),
      against('addon, one job at a time', loop, ` (aim ≥ 0.95×)${work('addon, one job at a time', loop)}`),
      against('addon, one at a time, SHA-256 checked', loop, ''),
      against('addon, two at once', 'addon, one job at a time', ' (aim ≥ 1.80×)'),
      against(
        'addon, two at once, SHA-256 checked',
        'addon, one at a time, SHA-256 checked',
        ' (aim ≥ 1.80×)',
      ),
      against('addon, one job at a time', 'node:zlib, whole stream', ''),
    ],
    raw: results.raw,
  };
}
