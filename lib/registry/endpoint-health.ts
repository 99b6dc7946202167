/**
 * What is known of one endpoint, over all blobs that are read of it: how long its first bytes take, how it has failed,
 * and that it has lied. Reads feed it, and the choice of an endpoint (endpoint-choice.ts) asks it.
 */
import { SociError } from '../errors.js';
import { publish, type RegistryEndpointEvent } from '../observe/channels.js';
import type { Clock } from '../source/http/clock.js';
import type { RangeWatcher } from '../source/http/range-watcher.js';
import { isTemporary, isUnreachable } from '../source/http/temporary.js';
import type { Endpoint } from './endpoint.js';
import type { Standing } from './endpoint-choice.js';
import { ErrorScore, type Trust } from './error-score.js';
import { OVERTAKEN, type RequestProgress } from './hedged-read.js';
import { ReplyTimes } from './reply-times.js';

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

export type ProbeOutcome = 'measured' | 'failed' | 'not sent';

export function failureKind(error: unknown): FailureKind {
  if (isUnreachable(error)) return 'unreachable';
  if (error instanceof SociError && LIES.has(error.code)) return 'lying';
  return isTemporary(error) ? 'failing' : 'lacking';
}

export class EndpointHealth {
  readonly #endpoint: Endpoint;
  readonly #now: Clock['now'];
  readonly #errors = new ErrorScore();
  readonly #times = new ReplyTimes();
  #measuredAt = Number.NEGATIVE_INFINITY;
  #probeFailedAt = Number.NEGATIVE_INFINITY;
  #probing = false;
  #unreachable = false;

  constructor(endpoint: Endpoint, now: Clock['now']) {
    this.#endpoint = endpoint;
    this.#now = now;
  }

  standing(): Standing {
    const latency = this.#times.smoothed;
    const unmeasured = latency === undefined || this.#isOld(this.#measuredAt);
    return {
      mirror: this.#endpoint.mirror,
      trust: this.#trust,
      latency,
      unmeasured: unmeasured && this.#isOld(this.#probeFailedAt) && !this.#probing,
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
  watch(what: 'time' | 'no time', progress?: RequestProgress): ReadTimer {
    return new ReadTimer(this, what === 'time' ? this.#now : undefined, progress);
  }

  /** It took `ms` to a first byte, or that long at least. */
  measured(ms: number): void {
    this.#times.add(ms, this.#isOld(this.#measuredAt) ? 'old' : 'recent');
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

  /** Runs `measure`, which tells what came of it, unless that is being done already. */
  async probe(measure: () => Promise<ProbeOutcome>): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    const outcome = await measure().finally(() => {
      this.#probing = false;
    });
    if (outcome === 'failed') this.#probeFailedAt = this.#now();
  }

  #isOld(time: number): boolean {
    return this.#now() - time > MEASURED_MS;
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
  readonly #now: Clock['now'] | undefined;
  readonly #progress: RequestProgress | undefined;
  #isSilent = false;
  #leftAt = 0;

  constructor(health: EndpointHealth, now: Clock['now'] | undefined, progress: RequestProgress | undefined) {
    this.#health = health;
    this.#now = now;
    this.#progress = progress;
  }

  /** For its turn, which says nothing of the host. */
  waits(): void {
    this.#isSilent = false;
    this.#progress?.waits();
  }

  leaves(): void {
    this.#isSilent = true;
    this.#leftAt = this.#now?.() ?? 0;
    this.#progress?.leaves();
  }

  arrived(): void {
    if (!this.#isSilent) return;
    this.#measure();
    this.#progress?.answered();
  }

  failed(error: unknown): void {
    // A refused connection fails in no time. What was waited for in vain would have taken that long at least: without
    // it a percentile would be of quick replies alone, and of ever quicker ones.
    const isTime = error instanceof SociError && error.code === 'ERR_SOCI_HTTP_TIMEOUT';
    if (isTime || error === OVERTAKEN) this.#measure();
    this.#isSilent = false;
    this.#health.attemptFailed(error);
  }

  #measure(): void {
    if (this.#isSilent && this.#now !== undefined) this.#health.measured(this.#now() - this.#leftAt);
    this.#isSilent = false;
  }
}
