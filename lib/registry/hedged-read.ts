/**
 * Two requests for the same bytes: the second is sent when the first has left and been silent for too long. Whoever
 * answers first is used, and the other is ended before it can answer, too; as long as nobody has answered, a failure of
 * one leaves it to the other. Each has memory of its own to write to.
 */
import { AbortScope, type Operation } from '../async/abort-scope.js';
import type { Departure } from '../source/http/message.js';
import { Silence } from './silence.js';

/** Who is told how far a request is. */
export interface RequestProgress extends Departure {
  /** Its first byte is there. A read that takes none answers by ending. */
  answered(): void;
}

export type Contender = (signal: AbortSignal, progress: RequestProgress) => Promise<void>;

export interface HedgedRead {
  readonly first: Contender;
  /** ms of silence after which a second is sent. */
  readonly wait: number;
  /**
   * The second, when it comes to that; undefined: there is to be none. Must not throw.
   *
   * @param firstEnded resolves when the first writes nowhere any more
   */
  readonly second: (firstEnded: Promise<unknown>) => Contender | undefined;
  readonly signal: AbortSignal | undefined;
}

/** How one of them ended: nothing of it is under way any more. */
export type Ending = 'done' | 'overtaken' | { readonly error: unknown };

export interface HedgeOutcome {
  /** Whose ending counts: of two that failed the first's. */
  readonly by: 'first' | 'second';
  readonly first: Ending;
  /** Undefined when none was sent. */
  readonly second: Ending | undefined;
}

/** The reason with which the loser is aborted. */
export const OVERTAKEN = Symbol('overtaken');

/** @throws the reason of a signal that was aborted before; whatever comes later is in the outcome */
export async function hedgedRead({ first, wait, second, signal }: HedgedRead): Promise<HedgeOutcome> {
  const scope = new AbortScope();
  const race = new Race();
  const silence = new Silence(wait);
  const endOfOne = race.run(first, scope.begin(signal), silence);
  const isSilent = (await silence.outcome) === 'too long';
  const rival = isSilent && !race.isDecided && signal?.aborted !== true ? second(endOfOne) : undefined;
  if (rival === undefined) return { by: 'first', first: await endOfOne, second: undefined };
  const two = scope.begin(signal);
  const endings = await Promise.all([endOfOne, race.run(rival, two)]);
  return { by: race.winner === two ? 'second' : 'first', first: endings[0], second: endings[1] };
}

/** Decided at the very first byte, so that none of another comes behind it. */
class Race {
  #winner: Operation | undefined;
  readonly #running: Operation[] = [];

  get winner(): Operation | undefined {
    return this.#winner;
  }

  get isDecided(): boolean {
    return this.#winner !== undefined;
  }

  /** Runs `read` to its end; never rejects. @param silence is listened to meanwhile */
  async run(read: Contender, operation: Operation, silence?: Silence): Promise<Ending> {
    const answered = (): void => {
      silence?.break();
      this.#answeredBy(operation);
    };
    this.#running.push(operation);
    try {
      await read(operation.signal, {
        waits: () => silence?.pause(),
        leaves: () => silence?.begin(),
        answered,
      });
      answered();
      return 'done';
    } catch (error) {
      return error === OVERTAKEN ? 'overtaken' : { error };
    } finally {
      silence?.break();
      operation.end();
    }
  }

  #answeredBy(operation: Operation): void {
    if (this.#winner !== undefined) return;
    this.#winner = operation;
    for (const other of this.#running) if (other !== operation) other.abort(OVERTAKEN);
  }
}
