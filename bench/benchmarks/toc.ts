/** A ztoc of 100,000 entries: decoding it, and finding names. */
import { entryName, manyEntriesZtoc } from '../corpus.js';
import { trial } from '../process.js';
import type { Report } from '../report.js';
import { inRounds, value } from '../rounds.js';

const ROUNDS = 5;
const ENTRIES = 100_000;
const LOOKUPS = 1001;

export async function toc(): Promise<Report> {
  const ztoc = await manyEntriesZtoc(ENTRIES);
  // A stride that is coprime to the number of entries visits them out of order.
  const names = Array.from({ length: LOOKUPS }, (_, i) => entryName((i * 7919) % ENTRIES));
  const results = await inRounds(ROUNDS, [
    { name: 'ztoc', run: () => trial('tableOfContents', { ztoc, names }) },
  ]);
  const got = results.of('ztoc');
  return {
    title: 'table of contents',
    conditions: `${ENTRIES} generated entries, uncompressed layer; fresh process (cold JIT); medians of ${ROUNDS}`,
    rows: [
      { name: 'decode', value: `${value(got, 'decode').toFixed(1)} ms` },
      { name: 'first lookup', value: `${value(got, 'first').toFixed(1)} ms` },
      { name: 'each further lookup', value: `${value(got, 'lookup').toFixed(1)} µs` },
      { name: 'memory of the process', value: `${(value(got, 'rss') / 1e6).toFixed(0)} MB` },
    ],
    raw: results.raw,
  };
}
