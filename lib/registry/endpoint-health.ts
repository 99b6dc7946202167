/**
 * What is known of one endpoint, over all blobs that are read of it: how long its first bytes take, how it has failed,
 * and that it has lied. Reads feed it, and the choice of an endpoint (endpoint-choice.ts) asks it.
 */
import { SociError } from '../errors.js';
import { publish, type RegistryEndpointEvent } from '../observe/channels.js';
import type { RangeWatcher } from '../source/http/range-watcher.js';
import { isTemporary, isUnreachable } from '../source/http/temporary.js';
import type { Endpoint } from './endpoint.js';
import type { Standing } from './endpoint-choice.js';
import { ErrorScore, type Trust } from './error-score.js';
import { ReplyTimes } from './reply-times.js';

/** ms of a clock that never goes back. */
export type Clock = () => number;

/** 'lacking': has not what it was asked for, or gives it to nobody; says nothing of anything else. */
export type FailureKind = Exclude<RegistryEndpointEvent['reason'], 'working'> | 'lacking';

/** What an ErrorScore adds: alone, half a minute's rest, a whole one and two of them, with what the attempts add. */
const WEIGHTS = { failing: 1, unreachable: 3, lying: 15 } as const;
/** One attempt of which a read may know nothing, if the next one succeeds: three at once are a short rest. */
const ATTEMPT = 0.5;
/** So long a measurement stands, and a probe that failed: what is measured for nobody costs a request. */
const MEASURED_MS = 30_000;

/** Replies that are not what was asked for, however often one asks. */
const LIES: ReadonlySet<string> = new Set([
  'ERR_SOCI_DIGEST_MISMATCH',
  'ERR_SOCI_HTTP_RANGE',
  'ERR_SOCI_HTTP_ENCODING',
  'ERR_SOCI_SOURCE_CHANGED',
]);

export function failureKind(error: unknown): FailureKind {
  if (isUnreachable(error)) return 'unreachable';
  if (error instanceof SociError && LIES.has(error.code)) return 'lying';
  return isTemporary(error) ? 'failing' : 'lacking';
}

export class EndpointHealth {
  readonly #endpoint: Endpoint;
  readonly #now: Clock;
  readonly #errors = new ErrorScore();
  readonly #times = new ReplyTimes();
  #measuredAt = Number.NEGATIVE_INFINITY;
  #probeFailedAt = Number.NEGATIVE_INFINITY;
  #probing = false;
  #unreachable = false;

  constructor(endpoint: Endpoint, now: Clock) {
    this.#endpoint = endpoint;
    this.#now = now;
  }

  standing(): Standing {
    const latency = this.#times.smoothed;
    const since = (time: number): boolean => this.#now() - time > MEASURED_MS;
    const old = since(this.#probeFailedAt) && (latency === undefined || since(this.#measuredAt));
    return {
      mirror: this.#endpoint.mirror,
      trust: this.#trust,
      latency,
      unmeasured: old && !this.#probing,
    };
  }

  /** Nobody answered there a short while ago: whatever else is wanted, it is not worth waiting for. */
  get isAway(): boolean {
    return this.#unreachable && this.#trust === 'resting';
  }

  /** ms within which `percent` of its first bytes came; undefined: too few to tell. */
  percentile(percent: number): number | undefined {
    return this.#times.percentile(percent);
  }

  /** Watches the requests of one read. What waits behind others by design ('no time') says only how they fail. */
  watch(what: 'time' | 'no time', onFirstByte?: () => void): ReadTimer {
    return new ReadTimer(this, what === 'time' ? this.#now : undefined, onFirstByte);
  }

  /** It took `ms` to a first byte, or that long at least. */
  measured(ms: number): void {
    this.#times.add(ms);
    this.#measuredAt = this.#now();
  }

  /** All that was asked for has come. */
  succeeded(): void {
    const before = this.#trust;
    this.#errors.succeeded(this.#now());
    if (this.#trust === 'resting') return;
    this.#unreachable = false;
    if (before === 'doubtful') this.#tell('returned', 'working');
  }

  /** An attempt failed, which says little as long as the next one may succeed. */
  attemptFailed(error: unknown): void {
    if (isTemporary(error)) this.#add(ATTEMPT, isUnreachable(error) ? 'unreachable' : 'failing');
  }

  /** What it was asked for was given up. */
  failed(error: unknown): FailureKind {
    const kind = failureKind(error);
    if (kind === 'lacking') return kind;
    if (kind === 'unreachable') this.#unreachable = true;
    const wish = error instanceof SociError ? error.data['retryAfter'] : undefined;
    if (typeof wish === 'number') this.#errors.restFor(wish, this.#now());
    this.#add(WEIGHTS[kind], kind);
    return kind;
  }

  /** Bytes that it served were not those that their digest names. */
  lied(): void {
    this.#add(WEIGHTS.lying, 'lying');
  }

  /** It did not lie after all. */
  forgive(): void {
    this.#errors.forgive();
    this.#tell('returned', 'working');
  }

  /** Runs `measure`, which tells whether it came to an end, unless that is being done already. */
  async probe(measure: () => Promise<'measured' | 'failed'>): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    const outcome = await measure().finally(() => {
      this.#probing = false;
    });
    if (outcome === 'failed') this.#probeFailedAt = this.#now();
  }

  get #trust(): Trust {
    return this.#errors.trust(this.#now());
  }

  #add(weight: number, kind: Exclude<FailureKind, 'lacking'>): void {
    const before = this.#trust;
    this.#errors.add(weight, this.#now());
    if (kind === 'lying' || (before !== 'resting' && this.#trust === 'resting')) this.#tell('left', kind);
  }

  #tell(outcome: RegistryEndpointEvent['outcome'], reason: RegistryEndpointEvent['reason']): void {
    const { registry, root } = this.#endpoint;
    publish('seekable-oci:registry:endpoint', () => ({ registry, host: root.host, outcome, reason }));
  }
}

/** One read's requests, one after the other. */
export class ReadTimer implements RangeWatcher {
  readonly #health: EndpointHealth;
  readonly #now: Clock | undefined;
  readonly #onFirstByte: (() => void) | undefined;
  #silent = false;
  #leftAt = 0;

  constructor(health: EndpointHealth, now: Clock | undefined, onFirstByte: (() => void) | undefined) {
    this.#health = health;
    this.#now = now;
    this.#onFirstByte = onFirstByte;
  }

  waits(): void {
    this.#silent = false;
  }

  leaves(): void {
    this.#silent = true;
    this.#leftAt = this.#now?.() ?? 0;
  }

  arrived(): void {
    if (!this.#silent) return;
    this.heard();
    this.#onFirstByte?.();
  }

  failed(error: unknown): void {
    // A refused connection fails in no time; only what was waited for is a time.
    if (error instanceof SociError && error.code === 'ERR_SOCI_HTTP_TIMEOUT') this.heard();
    this.#silent = false;
    this.#health.attemptFailed(error);
  }

  /** There is a first byte, or nobody waits for it any longer: so long it would have taken at least. */
  heard(): void {
    if (this.#silent && this.#now !== undefined) this.#health.measured(this.#now() - this.#leftAt);
    this.#silent = false;
  }
}
