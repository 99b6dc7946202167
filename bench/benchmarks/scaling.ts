/** A whole layer decoded by one thread and by two, from memory and from a file. */
import { availableParallelism } from 'node:os';
import { realLayer } from '../corpus.js';
import { trial } from '../process.js';
import { megabytesPerSecond, type Report, type Row, times } from '../report.js';
import { inRounds, value } from '../rounds.js';

const ROUNDS = 5;
const PASSES = 3;
const SOURCES = ['memory', 'file'] as const;

export async function scaling(): Promise<Report> {
  const layer = await realLayer();
  const variants = SOURCES.flatMap(from =>
    [1, 2].map(concurrency => ({
      name: label(from, concurrency),
      run: () =>
        trial('streamTar', { layer: layer.path, ztoc: layer.ztocPath, from, concurrency, passes: PASSES }),
    })),
  );
  const results = await inRounds(ROUNDS, variants);
  const rows = SOURCES.flatMap(from => {
    const of = (concurrency: number, key: string) => value(results.of(label(from, concurrency)), key);
    const row = (concurrency: number, ratio: string): Row => ({
      name: label(from, concurrency),
      value: megabytesPerSecond(of(concurrency, 'bytes'), of(concurrency, 'milliseconds')),
      ratio: `${ratio}${(of(concurrency, 'cpu') / of(concurrency, 'milliseconds')).toFixed(2)} cores busy, ${(of(concurrency, 'peak') / 1e6).toFixed(0)} MB peak`,
    });
    const faster = times(of(1, 'milliseconds') / of(2, 'milliseconds'));
    return [row(1, ''), row(2, `${faster} of one thread (aim ≥ 1.85×); `)];
  });
  return {
    title: 'whole layer, one thread and two',
    conditions:
      `${layer.description}; spans of 4 MiB; createTarStream, digests and windows checked; warm; ` +
      `medians of ${ROUNDS} processes, fastest of ${PASSES} passes each; ${availableParallelism()} cores, ` +
      'of which the main thread takes its share',
    rows,
    raw: results.raw,
  };
}

function label(from: string, concurrency: number): string {
  return `from ${from}, decodeConcurrency ${concurrency}`;
}
