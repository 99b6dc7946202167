/**
 * What a compressor that never ends a DEFLATE block costs: one span is the whole
 * layer. Indexing it against a bare inflate pass; a small file in its middle, the
 * next one behind that, and one before both, against the same tar with ordinary blocks.
 */
import { readFileSync, statSync } from 'node:fs';
import { Ztoc } from '../../lib/index.js';
import { largestSpan } from '../../lib/ztoc/largest-span.js';
import { compile } from '../compile.js';
import { SPAN_SIZE } from '../corpus.js';
import { giantBlockLayers, SMALL_FILES, type WrittenLayer } from '../giant-block-layers.js';
import { trial, yardstick } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { inRounds, type Medians, value } from '../rounds.js';

const ROUNDS = 5;
const READS = ['in the middle, first', 'one table further', 'before both'];

export async function giantBlock(): Promise<Report> {
  const layers = await giantBlockLayers();
  const program = await compile('inflate-pass');
  const results = await inRounds(
    ROUNDS,
    layers.flatMap(({ writer, path, ztoc }) => [
      { name: `${writer} pass`, run: () => yardstick(program, [path]) },
      {
        name: `${writer} build`,
        run: () => trial('buildTrial', { layer: path, spanSize: SPAN_SIZE, diffId: false, engine: 'fast' }),
      },
      {
        name: `${writer} reads`,
        run: () => trial('giantBlock', { layer: path, ztoc, paths: SMALL_FILES }),
      },
    ]),
  );
  const rows = layers.flatMap(layer => [
    sizes(layer),
    indexing(results.of(`${layer.writer} pass`), results.of(`${layer.writer} build`)),
    ...reads(results.of(`${layer.writer} reads`)),
  ]);
  return {
    title: 'giant blocks',
    conditions:
      'a tar of three tables of 32 MB of numbers, a small file behind each; span size 4 MiB; layers are files ' +
      `in the page cache (warm); every trial a fresh process; medians of ${ROUNDS}`,
    rows,
    raw: results.raw,
  };
}

function sizes({ writer, path, ztoc }: WrittenLayer): Row {
  const table = Ztoc.decode(readFileSync(ztoc));
  const { compressedSize, uncompressedSize } = largestSpan(table);
  return {
    name: writer,
    value: megabytes(statSync(path).size),
    ratio: `${table.spanCount} spans, the largest ${megabytes(compressedSize)} of the layer, ${megabytes(uncompressedSize)} of the tar`,
  };
}

function indexing(pass: Medians, build: Medians): Row {
  const factor = times(value(pass, 'milliseconds') / value(build, 'milliseconds'));
  return {
    name: '  indexing',
    value: `${value(build, 'milliseconds').toFixed(0)} ms`,
    ratio: `${factor} of a bare inflate pass, zlib`,
  };
}

function reads(got: Medians): Row[] {
  const rows = READS.map(
    (name, i): Row => ({ name: `  small file ${name}`, value: `${value(got, `read${i}`).toFixed(1)} ms` }),
  );
  rows.push({ name: '  peak memory of the reads', value: megabytes(value(got, 'peak')) });
  return rows;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`;
}
