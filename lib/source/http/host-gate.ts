/**
 * The door to one host, over all that is open: who waits goes through lane by
 * lane, as many at once as the host bears, and nobody while it has asked to be
 * left alone. What nobody waits for begins only when nobody waits for anything
 * else, and is broken off as soon as somebody does: pausing it would leave
 * megabytes on their way that the link brings first.
 */
import type { AbortScope } from '../../async/abort-scope.js';
import { LaneGate } from '../lanes.js';
import type { ByteAllowance } from './byte-allowance.js';
import type { Clock } from './clock.js';
import { HostTurn } from './host-turn.js';
import { LinkMeter } from './link-meter.js';
import type { HttpReply, HttpRequest, Send } from './message.js';
import { NoRoom } from './no-room.js';
import { Preempted } from './preempted.js';
import { askedWait } from './reply-check.js';
import type { RequestLimit } from './request-limit.js';
import { DEFAULT_RETRY_POLICY } from './retry-policy.js';
import { isTemporary } from './temporary.js';

export interface GateParts {
  readonly clock: Clock;
  /** For what nobody waits for. */
  readonly allowance: ByteAllowance;
  readonly limit: RequestLimit;
}

export class HostGate extends LaneGate<HostTurn> {
  readonly link = new LinkMeter();
  readonly limit: RequestLimit;
  readonly #host: string;
  readonly #clock: Clock;
  readonly #allowance: ByteAllowance;
  readonly #waiting = new Set<HostTurn>();
  readonly #underWay = new Set<HostTurn>();
  #heldUntil = Number.NEGATIVE_INFINITY;
  #alarm: { readonly at: number; readonly stop: () => void } | undefined;

  /** @param host as a URL's `host` */
  constructor(host: string, { clock, allowance, limit }: GateParts) {
    super();
    this.#host = host;
    this.#clock = clock;
    this.#allowance = allowance;
    this.limit = limit;
  }

  /** Nobody waits, nothing is under way, and nothing has to be remembered. */
  get idle(): boolean {
    return this.#waiting.size === 0 && this.#underWay.size === 0 && this.#heldUntil <= this.#clock.now();
  }

  /**
   * Sends `request` when it is its turn.
   *
   * @param scope of its transport
   * @throws Preempted when it is less urgent than demand, and had to make room; NoRoom when it is not to wait
   */
  async send(next: Send, request: HttpRequest, scope: AbortScope): Promise<HttpReply> {
    if (request.ifFull === 'fail' && !this.#hasRoom()) throw new NoRoom(this.#host);
    const turn: HostTurn = new HostTurn(request, scope.begin(request.signal), {
      moved: () => this.#moved(turn),
      answered: reply => this.#answered(turn, request, reply),
      received: bytes => turn.measured && this.link.received(bytes, this.#clock.now()),
      ended: failure => this.#ended(turn, failure),
    });
    const { signal, urgency } = turn;
    try {
      request.departure?.waits();
      this.#waiting.add(turn);
      if (isWaitedFor(turn)) this.#makeRoom();
      await this.enter(turn, { signal, urgency });
      request.departure?.leaves();
      if (!turn.staying) this.#leave(turn);
      return await next({ ...request, signal, watcher: turn });
    } catch (error) {
      turn.end();
      throw error;
    }
  }

  protected override fits({ urgency }: HostTurn): boolean {
    const now = this.#clock.now();
    if (now < this.#heldUntil) return this.#notBefore(this.#heldUntil);
    if (this.#underWay.size >= this.limit.places) return false;
    if (urgency.lane !== 'background') return true;
    if (this.#isWaitedFor()) return false;
    const wait = this.#allowance.wait(now);
    return wait === 0 || this.#notBefore(now + wait);
  }

  protected override take(turn: HostTurn): void {
    this.#waiting.delete(turn);
    this.#underWay.add(turn);
    turn.sentAt = this.#clock.now();
    turn.epoch = this.limit.epoch;
    turn.crowded = this.#underWay.size >= this.limit.places ? 'crowded' : 'roomy';
    if (turn.urgency.lane !== 'background') return;
    turn.charged = turn.expected;
    this.#allowance.spend(turn.charged, turn.sentAt);
  }

  #answered(turn: HostTurn, { maxRetryAfter }: HttpRequest, reply: HttpReply): void {
    const { status } = reply;
    const now = this.#clock.now();
    if (status === 429 || status === 503) {
      this.limit.failed(turn.epoch);
      this.#hold(now, askedWait(reply).retryAfter, maxRetryAfter);
    } else if (turn.brief) {
      const ms = now - turn.sentAt;
      this.link.answered(ms, now);
      this.limit.answered(turn.epoch, ms, this.link.roundTripMs ?? ms);
    }
    turn.measured = turn.brief && status < 300;
    if (turn.measured) this.link.bodyBegan();
    // Who reads a stream may stand still, or wait for another answer of this host first. Nobody need read a refusal.
    else this.#leave(turn);
  }

  /** The host asks to be left alone. Longer than whoever sent this would wait himself, nobody waits for him. */
  #hold(now: number, asked = 0, most = DEFAULT_RETRY_POLICY.maxRetryAfter): void {
    if (asked <= most) this.#heldUntil = Math.max(this.#heldUntil, now + asked);
  }

  #ended(turn: HostTurn, failure: { readonly error: unknown } | undefined): void {
    if (turn.measured) this.link.bodyEnded();
    if (turn.charged > 0) this.#allowance.giveBack(turn.charged - turn.arrived);
    if (failure !== undefined && isTemporary(failure.error)) this.limit.failed(turn.epoch);
    else if (failure === undefined && turn.arrived > 0) this.limit.succeeded(turn.epoch, turn.crowded);
    this.#leave(turn);
  }

  #leave(turn: HostTurn): void {
    if (!this.#waiting.delete(turn) && !this.#underWay.delete(turn)) return;
    if (this.#waiting.size === 0) this.#stopAlarm();
    this.admit();
  }

  /** Somebody waits now for what nobody waited for, or will soon want it. */
  #moved(turn: HostTurn): void {
    if (isWaitedFor(turn)) this.#makeRoom();
    // One that waits is let in by those it waits with.
    if (this.#underWay.has(turn)) this.admit();
  }

  /**
   * For somebody who waits: the link at once, and a place of those who are only ahead of others. Those who are broken
   * off have left before anybody is let in.
   */
  #makeRoom(): void {
    const underWay = [...this.#underWay];
    for (const turn of underWay) if (turn.urgency.lane === 'background') this.#breakOff(turn);
    let short = this.#underWay.size - this.limit.places;
    for (const turn of this.#waiting) if (isWaitedFor(turn)) short++;
    for (const turn of underWay.reverse()) {
      if (short <= 0) return;
      if (turn.urgency.lane !== 'prefetch') continue;
      this.#breakOff(turn);
      short--;
    }
  }

  /** Whether one more could go at once, and would keep out nobody but what is in the background. */
  #hasRoom(): boolean {
    if (this.#clock.now() < this.#heldUntil) return false;
    for (const { urgency } of this.#waiting) if (urgency.lane !== 'background') return false;
    let taken = 0;
    for (const { urgency } of this.#underWay) if (urgency.lane !== 'background') taken++;
    return taken < this.limit.places;
  }

  #breakOff(turn: HostTurn): void {
    this.#underWay.delete(turn);
    turn.breakOff(new Preempted(this.#host));
  }

  #isWaitedFor(): boolean {
    for (const turn of this.#underWay) if (isWaitedFor(turn)) return true;
    for (const turn of this.#waiting) if (isWaitedFor(turn)) return true;
    return false;
  }

  /** Looks again at `at`, or earlier. @returns that nobody fits now */
  #notBefore(at: number): false {
    if (this.#alarm !== undefined && this.#alarm.at <= at) return false;
    this.#alarm?.stop();
    const stop = this.#clock.after(at - this.#clock.now(), () => {
      this.#alarm = undefined;
      this.admit();
    });
    this.#alarm = { at, stop };
    return false;
  }

  #stopAlarm(): void {
    this.#alarm?.stop();
    this.#alarm = undefined;
  }
}

/** What has a body may itself wait for what nobody waits for: it is let in, and keeps nobody out. */
function isWaitedFor({ urgency, staying }: HostTurn): boolean {
  return staying && urgency.lane === 'demand';
}
