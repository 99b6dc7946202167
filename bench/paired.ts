/**
 * Two variants measured in pairs that follow each other closely, the order turned
 * round in every pair (A B, B A, A B …), so that neither a drift of the machine nor
 * being the second one favours either. What is compared is the ratio in each pair.
 */
import type { Measures } from './process.js';
import { median } from './rounds.js';

export interface Contest {
  readonly name: string;
  /** What is judged, and what it is measured against. */
  readonly ours: () => Promise<Measures>;
  readonly theirs: () => Promise<Measures>;
}

export interface Pair {
  readonly ours: Measures;
  readonly theirs: Measures;
}

/** All contests take turns, pair after pair. */
export async function inPairs(
  pairs: number,
  contests: readonly Contest[],
): Promise<ReadonlyMap<string, readonly Pair[]>> {
  const results = new Map<string, Pair[]>(contests.map(({ name }) => [name, []]));
  for (let i = 0; i < pairs; i++) {
    for (const { name, ours, theirs } of contests) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${name} ${i + 1}/${pairs}`);
      const first = await (i % 2 === 0 ? ours : theirs)();
      const second = await (i % 2 === 0 ? theirs : ours)();
      const pair = i % 2 === 0 ? { ours: first, theirs: second } : { ours: second, theirs: first };
      results.get(name)?.push(pair);
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
  return results;
}

export interface Interval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** How sure an interval has to be. */
const CONFIDENCE = 0.95;

/**
 * The rank of the value that an interval for the median begins with, and the
 * probability that it holds the median: as many as possible of the lowest and of
 * the highest values are left out (the sign test, which assumes nothing about how
 * values scatter). Below 6 values even all of them do not reach 95 %.
 */
export function signTestRank(count: number): { readonly rank: number; readonly coverage: number } {
  const outside = (rank: number): number => {
    let [term, sum] = [2 ** -count, 0];
    for (let i = 0; i < rank; i++) {
      sum += term;
      term *= (count - i) / (i + 1);
    }
    return 2 * sum;
  };
  let rank = 1;
  while (1 - outside(rank + 1) >= CONFIDENCE) rank++;
  return { rank, coverage: 1 - outside(rank) };
}

export function intervalOf(values: readonly number[]): Interval {
  const sorted = [...values].sort((a, b) => a - b);
  const { rank } = signTestRank(sorted.length);
  const [low = Number.NaN, high = Number.NaN] = [sorted[rank - 1], sorted[sorted.length - rank]];
  return { median: median(sorted), low, high };
}
