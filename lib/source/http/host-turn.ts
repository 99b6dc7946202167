/**
 * One request on its way through the door of a host: what the door has to know
 * of it while it waits, is under way, and ends, however it ends.
 */
import type { Operation } from '../../async/abort-scope.js';
import { Urgency } from '../lanes.js';
import type { HttpReply, HttpRequest, ReplyWatcher } from './message.js';

export interface TurnEvents {
  /** It has become more urgent. */
  moved(): void;
  answered(reply: HttpReply): void;
  received(bytes: number): void;
  /** Called once, whatever has become of it. */
  ended(failure: { readonly error: unknown } | undefined): void;
}

export class HostTurn implements ReplyWatcher {
  readonly silence = undefined;
  readonly urgency: Urgency;
  /** Bytes of the body that are asked for. */
  readonly expected: number;
  /** Whether its body arrives by itself, whoever reads it. */
  readonly brief: boolean;
  /** Whether it keeps its place while it is under way: what sends a body may have to wait for that body. */
  readonly staying: boolean;
  /** When it was sent. */
  sentAt = 0;
  /** The limit's epoch then. */
  epoch = 0;
  /** Whether all places were taken then. */
  crowded: 'crowded' | 'roomy' = 'roomy';
  /** Bytes that were taken from the allowance for it. */
  charged = 0;
  /** Bytes of its body so far. */
  arrived = 0;
  /** Whether its body counts for what the link brings. */
  measured = false;
  readonly #operation: Operation;
  readonly #events: TurnEvents;
  readonly #unwatch: () => void;
  #over = false;

  /** @param operation of the request alone, ended with it */
  constructor(
    { urgency = new Urgency(), ...request }: HttpRequest,
    operation: Operation,
    events: TurnEvents,
  ) {
    this.urgency = urgency;
    this.expected = request.expected ?? 0;
    this.staying = request.body === undefined;
    this.brief = this.staying && request.limitTotalTime;
    this.#operation = operation;
    this.#events = events;
    this.#unwatch = urgency.watch(() => events.moved());
  }

  get signal(): AbortSignal {
    return this.#operation.signal;
  }

  breakOff(reason: Error): void {
    this.#operation.abort(reason);
  }

  answered(reply: HttpReply): void {
    this.#events.answered(reply);
  }

  received(length: number): void {
    this.arrived += length;
    this.#events.received(length);
  }

  ended(_status: number | undefined, _bytes: number, failure: { readonly error: unknown } | undefined): void {
    this.end(failure);
  }

  /** It is over, also when nothing was sent. */
  end(failure?: { readonly error: unknown }): void {
    if (this.#over) return;
    this.#over = true;
    this.#unwatch();
    this.#operation.end();
    this.#events.ended(failure);
  }
}
