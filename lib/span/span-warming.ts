/**
 * Gets spans into the cache before anybody asks for them, decoded: what is there
 * costs nothing, what is on its way for somebody else is waited for, and each
 * span fails for itself. What is too large for the cache is left out.
 */
import { SociError } from '../errors.js';
import type { Interval } from './plan.js';
import type { PlannedReadOptions } from './planned-read.js';
import { compressedLength } from './span-table.js';
import type { Wish } from './urgent-work.js';

export interface FailedSpan {
  readonly span: number;
  readonly error: SociError;
}

/** What became of spans that were fetched before anybody asked for them. In bytes of the layer as it is stored. */
export interface FetchedAhead {
  readonly present: number;
  /** Those of spans that failed included. */
  readonly fetched: number;
  readonly failures: readonly FailedSpan[];
}

/** Undefined when one of the spans is too large to be kept. @throws the signal's reason */
export async function warmSpans(
  { layer, planner, loader }: Pick<PlannedReadOptions, 'layer' | 'planner' | 'loader'>,
  { first, end }: Interval,
  { signal, lane }: Wish,
): Promise<FetchedAhead | undefined> {
  const failures: FailedSpan[] = [];
  let present = 0;
  let fetched = 0;
  for (let at = first; at < end; ) {
    const step = planner.next(at, end);
    at = step.end;
    if (step.state === 'huge') return undefined;
    let bytes = 0;
    for (let span = step.first; span < step.end; span++) bytes += compressedLength(layer.table.span(span));
    if (step.state === 'missing') fetched += bytes;
    else present += bytes;
    if (step.state === 'cached') continue;
    const joined = step.state === 'in-flight' ? loader.join(step.first, lane) : undefined;
    const works =
      step.state === 'missing'
        ? loader.load(step.first, step.end, { use: 'keep', lane })
        : joined
          ? [joined]
          : [];
    const settled = await Promise.allSettled(works.map(work => work.wait(signal)));
    signal.throwIfAborted();
    for (const [position, outcome] of settled.entries()) {
      if (outcome.status === 'fulfilled') continue;
      if (!(outcome.reason instanceof SociError)) throw outcome.reason;
      failures.push({ span: step.first + position, error: outcome.reason });
    }
  }
  return { present, fetched, failures };
}
