/**
 * A range of a blob, asked of one place and, where that is silent for longer than its host usually is, of another one
 * or of the same on another connection. That the bytes may be another host's does no harm: they are all of the range,
 * and whoever reads ranges compares digests.
 */
import { publish, type RegistryHedgeEvent } from '../observe/channels.js';
import type { WantedRange } from '../source/continued-read.js';
import { NoRoom } from '../source/http/no-room.js';
import { urgencyOf } from '../source/lanes.js';
import { ASIDE, type BlobEndpoint, isClosed, type Turn } from './blob-endpoint.js';
import { HedgeCopy } from './hedge-copy.js';
import { type Contender, type Ending, hedgedRead } from './hedged-read.js';
import type { Hedging } from './hedging.js';

/** Who was asked last, and what came of it. */
export interface Asked {
  readonly place: BlobEndpoint;
  /** Undefined when all of the range is there. */
  readonly failure: { readonly error: unknown } | undefined;
  /** Whether it was the second request that counts, before which the first was ended. */
  readonly by: 'first' | 'second';
}

export interface HedgedPlace {
  readonly place: BlobEndpoint;
  readonly turn: Turn;
  /** ms of silence after which another request is sent. */
  readonly wait: number;
  /** To whom. */
  readonly rival: () => BlobEndpoint;
}

/** Somebody waits for the range, and its first copy is not in doubt. @throws SociError ERR_SOCI_INVALID_ARGUMENT */
export function isWorthHedging({ target, options }: WantedRange): boolean {
  return urgencyOf(options).lane === 'demand' && options.fresh !== true && target.length > 0;
}

export async function readHedged(
  hedging: Hedging,
  range: WantedRange,
  { place, turn, wait, rival }: HedgedPlace,
): Promise<Asked> {
  const { signal } = range.options;
  const hedge = new Hedge(hedging, range, rival);
  const { by, first, second } = await hedgedRead({
    first: (abort, progress) => place.readInto(until(abort, range), turn, progress),
    wait,
    second: firstEnded => hedge.contender(firstEnded),
    signal,
  });
  const other = hedge.place;
  if (other === undefined || second === undefined) return { place, by, failure: failureOf(first) };
  const [winner, used] = by === 'first' ? [place, first] : [other, second];
  const [loser, unused] = by === 'first' ? [other, second] : [place, first];
  const failure = failureOf(used);
  hedge.end(wait, failure !== undefined ? 'failed' : by === 'second' ? 'won' : 'lost');
  const lost = failureOf(unused)?.error;
  // Who was aborted or closed has not failed, nor has a host that was not even asked.
  const isItsOwn = signal?.aborted !== true && !isClosed(lost) && !(lost instanceof NoRoom);
  if (lost !== undefined && isItsOwn) loser.failed(lost);
  return { place: winner, by, failure };
}

/** The second request, if there is to be one; it counts from when it leaves. */
class Hedge {
  readonly #hedging: Hedging;
  readonly #range: WantedRange;
  readonly #rival: () => BlobEndpoint;
  #place: BlobEndpoint | undefined;
  #hasLeft = false;

  constructor(hedging: Hedging, range: WantedRange, rival: () => BlobEndpoint) {
    this.#hedging = hedging;
    this.#range = range;
    this.#rival = rival;
  }

  /** Whom it goes to; undefined: there is none. */
  get place(): BlobEndpoint | undefined {
    return this.#place;
  }

  /** Undefined when it cannot be afforded: it must not fail a read that needs none. */
  contender(firstEnded: Promise<unknown>): Contender | undefined {
    const copy = this.#afford();
    if (copy === undefined) return undefined;
    const place = this.#rival();
    this.#place = place;
    return async (signal, progress) => {
      void firstEnded.then(() => signal.aborted || copy.free());
      const { offset, options } = this.#range;
      const onBytes = ({ length }: Uint8Array): void => copy.arrived(length);
      const range = until(signal, { target: copy.memory, offset, options: { ...options, onBytes } });
      await place.readInto(range, ASIDE, { ...progress, leaves: () => this.#leave() });
      if (!signal.aborted) copy.arrived(copy.memory.length);
    };
  }

  /** @param silence ms that went before it */
  end(silence: number, outcome: RegistryHedgeEvent['outcome']): void {
    const { length: bytes } = this.#range.target;
    const { registry, root } = this.#place!.endpoint;
    if (this.#hasLeft)
      publish('seekable-oci:registry:hedge', () => ({
        registry,
        host: root.host,
        bytes,
        ms: silence,
        outcome,
      }));
    else this.#hedging.giveBack(bytes);
  }

  #afford(): HedgeCopy | undefined {
    const { length } = this.#range.target;
    if (!this.#hedging.spend(length)) return undefined;
    try {
      return new HedgeCopy(this.#range);
    } catch {
      this.#hedging.giveBack(length);
      return undefined;
    }
  }

  /** More than once where redirects are followed. */
  #leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#range.options.onHedge?.(this.#range.target.length);
  }
}

/** The same until `signal` fires: from then on nothing is told of it either. */
function until(signal: AbortSignal, { target, offset, options }: WantedRange): WantedRange {
  const { onBytes } = options;
  const told = (arrived: Uint8Array): void => {
    if (!signal.aborted) onBytes?.(arrived);
  };
  return { target, offset, options: { ...options, signal, onBytes: onBytes && told } };
}

function failureOf(ending: Ending): { readonly error: unknown } | undefined {
  return typeof ending === 'object' ? ending : undefined;
}
