/**
 * Whom to ask first, out of what was measured: a pure function. The configured order is the operator's wish, who knows
 * what traffic costs: it stands until a mirror is clearly slower than one behind it, and the registry, which mirrors
 * are there to spare, comes before a mirror only if that is much slower still.
 */
import type { Trust } from './error-score.js';

export interface Standing {
  /** Or the registry itself. */
  readonly mirror: boolean;
  readonly trust: Trust;
  /** Smoothed ms to the first byte of a range; undefined: not known. */
  readonly latency: number | undefined;
  /** Whether it may be measured (again): it was not for a while, and nobody is about to. */
  readonly unmeasured: boolean;
}

export interface EndpointChoice {
  /** Positions in the configured order, all of them, the one to be asked first before the others. */
  readonly order: readonly number[];
  /** One that is to be asked beside the first, by nobody who waits for it: it may turn out to be the better one. */
  readonly probe: number | undefined;
}

/** By what one must be faster than another to go before it: a factor, and what a user can feel. */
interface Margin {
  readonly factor: number;
  readonly ms: number;
}

/** Twice as slow is more than jitter; below 20 ms of difference a span takes about as long from either. */
const FOR_MIRRORS: Margin = { factor: 2, ms: 20 };
const FOR_THE_REGISTRY: Margin = { factor: 4, ms: 100 };

/** @param standings in the configured order, at least one */
export function chooseEndpoints(standings: readonly Standing[]): EndpointChoice {
  const places = [...standings.keys()];
  const trusted = (trust: Trust): number[] =>
    bySpeed(
      places.filter(place => standings[place]!.trust === trust),
      standings,
    );
  const order = [...trusted('sound'), ...trusted('doubtful'), ...trusted('resting')];
  const first = order[0]!;
  const probe = places.find(place => place !== first && isWorthProbing(place, first, standings));
  return { order, probe };
}

/** Whether `one` goes before `other`, which is configured to come first. */
export function goesBefore(one: Standing, other: Standing): boolean {
  if (one.latency === undefined || other.latency === undefined) return false;
  const { factor, ms } = marginOf(one);
  return one.latency * factor < other.latency && one.latency + ms < other.latency;
}

function marginOf({ mirror }: Standing): Margin {
  return mirror ? FOR_MIRRORS : FOR_THE_REGISTRY;
}

function bySpeed(places: readonly number[], standings: readonly Standing[]): number[] {
  const standing = (place: number): Standing => standings[place]!;
  const order: number[] = [];
  let left = places.filter(place => standing(place).mirror);
  while (left.length > 0) {
    const next = left.reduce((best, place) => (goesBefore(standing(place), standing(best)) ? place : best));
    order.push(next);
    left = left.filter(place => place !== next);
  }
  for (const place of places.filter(each => !standing(each).mirror)) {
    let at = order.length;
    // Before no mirror that is not much slower, whatever comes before that.
    while (at > 0 && goesBefore(standing(place), standing(order[at - 1]!))) at--;
    order.splice(at, 0, place);
  }
  return order;
}

function isWorthProbing(place: number, first: number, standings: readonly Standing[]): boolean {
  const standing = standings[place]!;
  if (!standing.unmeasured || standing.trust === 'resting') return false;
  // One that was set back may have recovered.
  if (standing.trust === 'doubtful' || place < first) return true;
  // Were it as fast as can be, would it be better?
  return goesBefore({ ...standing, latency: 0 }, standings[first]!);
}
