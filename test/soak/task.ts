/** What the processes of the soak are told, what they say, and the numbers that both draw. */
import { noise, textLike } from '../span/sample-layers.js';

export interface SoakTask {
  readonly reference: string;
  readonly folder: string;
  readonly maxBytes: number;
  readonly seconds: number;
  readonly seed: number;
}

/** Said once a second, and at the end. */
export interface SoakReport {
  readonly reads: number;
  readonly bytes: number;
  readonly prefetches: number;
  readonly evictions: number;
  /** Failed calls by their codes. */
  readonly errors: Readonly<Record<string, number>>;
  /** What must not be: wrong bytes, errors without a code, calls that do not end. */
  readonly faults: readonly string[];
  readonly rss: number;
  readonly descriptors: number;
}

export interface SoakFile {
  readonly path: string;
  readonly body: Buffer;
}

/** The same in every process: what is read is held against this. */
export function soakFiles(layer: number): SoakFile[] {
  const file = (name: string, body: Buffer): SoakFile => ({ path: `layer${layer}/${name}`, body });
  return [
    file('large', noise(8_000_000, 10 + layer)),
    file('text', textLike(3_000_000, 20 + layer)),
    ...Array.from({ length: 20 }, (_, at) => file(`small/${at}`, noise(1 + 997 * at, 100 * layer + at + 1))),
  ];
}

export const SOAK_LAYERS = 3;

/** Numbers from 0 (inclusive) to 1, the same for the same seed: mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
