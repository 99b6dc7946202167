/**
 * Variants measured in turn, round after round, so that whatever else the machine
 * does hits all of them; the median of the rounds is the result.
 */
import type { Measures } from './process.js';

export interface Variant {
  readonly name: string;
  run(): Promise<Measures>;
}

export type Medians = Readonly<Record<string, number>>;

export interface Results {
  /** Of variant `name`, the median of every number. */
  of(name: string): Medians;
  readonly raw: Readonly<Record<string, readonly Measures[]>>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

export async function inRounds(rounds: number, variants: readonly Variant[]): Promise<Results> {
  const raw: Record<string, Measures[]> = {};
  for (let round = 0; round < rounds; round++) {
    for (const variant of variants) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${variant.name} ${round + 1}/${rounds}`);
      const measures = raw[variant.name] ?? [];
      raw[variant.name] = measures;
      measures.push(await variant.run());
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
  const of = (name: string): Medians => {
    const measures = raw[name] ?? [];
    const keys = Object.keys(measures[0] ?? {});
    return Object.fromEntries(keys.map(key => [key, median(measures.map(one => one[key] ?? Number.NaN))]));
  };
  return { of, raw };
}

/** A number of `medians` that must be there. */
export function value(medians: Medians, key: string): number {
  const found = medians[key];
  if (found === undefined) throw new Error(`no measure '${key}'`);
  return found;
}
