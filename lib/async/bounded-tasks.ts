/**
 * Many things at once, but not all at once: requests to a registry and native
 * jobs are worth overlapping up to a point. The first failure ends the others
 * and is the one that is reported.
 */
import { AbortScope } from './abort-scope.js';

/**
 * The results of `work` in the order of `items`. Everything has settled when this returns or throws.
 *
 * @param limit How many run at the same time, at least 1.
 */
export async function runBounded<T, R>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal, position: number) => Promise<R>,
): Promise<R[]> {
  const scope = new AbortScope();
  const operation = scope.begin(signal);
  const results: R[] = new Array(items.length);
  let next = 0;
  let failure: { readonly reason: unknown } | undefined;
  const lane = async (): Promise<void> => {
    while (next < items.length && failure === undefined) {
      const position = next++;
      try {
        operation.signal.throwIfAborted();
        results[position] = await work(items[position]!, operation.signal, position);
      } catch (reason) {
        failure ??= { reason };
        scope.close(reason);
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  } finally {
    operation.end();
  }
  signal?.throwIfAborted();
  if (failure !== undefined) throw failure.reason;
  return results;
}
