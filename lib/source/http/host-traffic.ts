/**
 * The requests of everything that is open, host by host: whose turn it is, how
 * many at once, and what is known of the link. There is one for all that shares
 * a ReadContext; hosts are told apart by origin, that of the request itself and
 * not of who sent us there.
 */
import type { AbortScope } from '../../async/abort-scope.js';
import type { LinkEstimate } from '../link-estimate.js';
import { ByteAllowance } from './byte-allowance.js';
import { type Clock, systemClock } from './clock.js';
import { HostGate } from './host-gate.js';
import type { Interceptor } from './message.js';
import { AdaptiveLimit, type RequestLimit } from './request-limit.js';

/** Hosts that are remembered while nothing is under way: redirects may lead to any number of them. */
const MAX_HOSTS = 256;

export interface TrafficParts {
  readonly clock: Clock;
  /** How many requests a host is sent at once. */
  readonly limit: () => RequestLimit;
}

const DEFAULT_PARTS: TrafficParts = { clock: systemClock, limit: () => new AdaptiveLimit() };

export class HostTraffic {
  /** By origin, the least recently used first. */
  readonly #gates = new Map<string, HostGate>();
  readonly #allowance: ByteAllowance;
  readonly #parts: TrafficParts;

  /** @internal @param maxBytesPerSecond of all that nobody waits for, asked for anew each time; 0: no limit */
  constructor(maxBytesPerSecond: () => number = () => 0, parts: Partial<TrafficParts> = {}) {
    this.#allowance = new ByteAllowance(maxBytesPerSecond);
    this.#parts = { ...DEFAULT_PARTS, ...parts };
  }

  /**
   * @internal Lets requests through in their turn.
   *
   * @param connections to one host, at most
   * @param scope of the transport: closing it ends those that wait and those under way
   */
  inTurn(connections: number, scope: AbortScope): Interceptor {
    return next => async request => {
      const gate = this.#gate(request.target.url);
      gate.limit.allow(connections);
      return await gate.send(next, request, scope);
    };
  }

  /** @internal What the link to the host of `url` is like. */
  link(url: URL): LinkEstimate | undefined {
    return this.#gates.get(url.origin)?.link;
  }

  /** @internal There may be room: a bound has changed. */
  admit(): void {
    for (const gate of this.#gates.values()) gate.admit();
  }

  #gate({ origin, host }: URL): HostGate {
    let gate = this.#gates.get(origin);
    if (gate === undefined) {
      this.#forgetIdle();
      const { clock, limit } = this.#parts;
      gate = new HostGate(host, { clock, allowance: this.#allowance, limit: limit() });
    } else {
      this.#gates.delete(origin);
    }
    this.#gates.set(origin, gate);
    return gate;
  }

  #forgetIdle(): void {
    for (const [origin, gate] of this.#gates) {
      if (this.#gates.size < MAX_HOSTS) return;
      if (gate.idle) this.#gates.delete(origin);
    }
  }
}
