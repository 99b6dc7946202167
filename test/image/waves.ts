/**
 * Round trips, without a clock: a registry that answers no request of a wave before all of the wave have come. A
 * request that waits for the answer to another one of its wave never comes, and it is said that it is missing.
 */
import { once } from 'node:events';
import type { TestRegistry } from '../../lib/testing/testing.js';

/** Longer than any machine takes to send what it can send; only a test that fails waits for it. */
const PATIENCE_MS = 10_000;

export interface Waves {
  /** Requests that belong to no wave. */
  readonly others: string[];
  /** What did not come together; empty when all waves came. */
  readonly missing: () => string[];
}

/**
 * @param names what requests are called, by the last part of their path
 * @param waves names of the requests that have to be under way at the same time, wave by wave
 */
export function expectWaves(
  registry: TestRegistry,
  names: Readonly<Record<string, string>>,
  waves: readonly (readonly string[])[],
): Waves {
  const others: string[] = [];
  const left = waves.map(wave => new Set(wave));
  const complete = waves.map(() => new AbortController());
  registry.inject({
    until: async ({ method, path }) => {
      const last = path.slice(path.lastIndexOf('/') + 1);
      const kind = path.includes('/referrers/') ? 'referrers of ' : '';
      const name = `${method === 'HEAD' ? 'HEAD ' : ''}${kind}${names[last] ?? last}`;
      const wave = left.findIndex(each => each.has(name));
      const [awaited, gate] = [left[wave], complete[wave]];
      if (awaited === undefined || gate === undefined) {
        others.push(name);
        return;
      }
      awaited.delete(name);
      if (awaited.size === 0) gate.abort();
      if (gate.signal.aborted) return;
      const patience = AbortSignal.timeout(PATIENCE_MS);
      await once(gate.signal, 'abort', { signal: patience }).catch(() =>
        awaited.add(`${name} came alone, and`),
      );
    },
  });
  return { others, missing: () => left.flatMap((wave, at) => [...wave].map(name => `${at + 1}: ${name}`)) };
}
