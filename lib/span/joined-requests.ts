/**
 * Missing spans of one layer that anybody asks for in the same turn of the event
 * loop are planned together, so that a hundred readers who want neighbouring spans
 * make one request and not a hundred. What is wanted waits for the loop to come
 * to the end of its turn, which takes microseconds where a request takes
 * milliseconds. Lanes share no request: what is not urgent may be held up.
 */
import { addAbortListener, removeAbortListener } from '../async/abort-listeners.js';
import { LANES, Urgency, type Work } from '../source/lanes.js';
import type { Lane } from '../source/range-source.js';

/** Spans of one request, ascending. */
export type RequestSpans = readonly [number, ...number[]];

/** A span that waits for its request. */
interface Ticket<R> {
  readonly span: number;
  readonly work: Work;
  readonly give: (request: R) => void;
  /** Does nothing once it was given one. */
  readonly refuse: (error: unknown) => void;
}

export interface RequestPlan<R> {
  /** Divides spans, ascending, into those of each request. */
  divide(spans: readonly number[]): readonly RequestSpans[];
  /** Begins a request. */
  begin(spans: RequestSpans, urgency: Urgency): R;
}

export class JoinedRequests<R> {
  readonly #plan: RequestPlan<R>;
  #waiting: Ticket<R>[] = [];

  constructor(plan: RequestPlan<R>) {
    this.#plan = plan;
  }

  /**
   * What `use` makes of the request for a span, which it gets as soon as that has begun.
   *
   * @throws the reason of the work's signal, if that is aborted before; there is no request then
   */
  add<T>(span: number, work: Work, use: (request: R) => Promise<T>): Promise<T> {
    const { signal } = work;
    return new Promise((resolve, reject) => {
      const leave = (): void => reject(signal.reason);
      const give = (request: R): void => {
        removeAbortListener(signal, leave);
        resolve(use(request));
      };
      const refuse = (error: unknown): void => {
        removeAbortListener(signal, leave);
        reject(error);
      };
      addAbortListener(signal, leave);
      if (this.#waiting.length === 0) setImmediate(() => this.#begin());
      this.#waiting.push({ span, work, give, refuse });
    });
  }

  #begin(): void {
    const tickets = this.#waiting.filter(({ work }) => !work.signal.aborted);
    this.#waiting = [];
    for (const lane of LANES) {
      const wanted = tickets.filter(({ work }) => work.urgency.lane === lane);
      try {
        this.#beginIn(lane, wanted);
      } catch (error) {
        // A caller's source may fail at being asked what its link is like.
        for (const { refuse } of wanted) refuse(error);
      }
    }
  }

  #beginIn(lane: Lane, wanted: readonly Ticket<R>[]): void {
    const bySpan = new Map(wanted.map(ticket => [ticket.span, ticket]));
    for (const spans of this.#plan.divide([...bySpan.keys()].sort((a, b) => a - b))) {
      const together = spans.map(span => bySpan.get(span) as Ticket<R>);
      const request = this.#plan.begin(spans, urgencyOf(lane, together));
      for (const { give } of together) give(request);
    }
  }
}

/** One who comes to wait for a span makes all that is fetched with it as urgent as he is. */
function urgencyOf(lane: Lane, tickets: readonly Pick<Ticket<never>, 'work'>[]): Urgency {
  const common = new Urgency(lane);
  for (const { work } of tickets) work.urgency.watch(() => common.raise(work.urgency.lane));
  return common;
}
