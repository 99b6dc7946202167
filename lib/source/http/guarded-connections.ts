/**
 * The connections of requests, by whom they are made for. What a name may
 * resolve to depends on the host that the caller named, so connections made for
 * one such host are not used for another.
 */
import { lookup } from 'node:dns';
import type { Dispatcher } from 'undici';
import { guardedLookup } from './guarded-lookup.js';
import { HttpAgent } from './http-agent.js';
import type { HttpTarget } from './target.js';
import { undiciParts } from './undici-parts.js';

/** Where requests go out. */
export interface Connections {
  /** Most of them, of one origin. */
  readonly perOrigin: number;
  dispatcherFor(target: HttpTarget): Promise<Dispatcher>;
  /** Ends all connections; requests under way fail with ERR_SOCI_CLOSED. */
  destroy(): Promise<void>;
}

export class GuardedConnections implements Connections {
  readonly perOrigin: number;
  readonly #timeout: number;
  readonly #resolve: typeof lookup;
  readonly #agents = new Map<string, HttpAgent>();
  #destroyed = false;

  /**
   * @param perOrigin most of them
   * @param timeout ms until one stands
   * @param resolve how names are looked up
   */
  constructor(perOrigin: number, timeout: number, resolve: typeof lookup = lookup) {
    this.perOrigin = perOrigin;
    this.#timeout = timeout;
    this.#resolve = resolve;
  }

  async dispatcherFor({ home }: HttpTarget): Promise<Dispatcher> {
    const parts = await undiciParts();
    let agent = this.#agents.get(home.hostname);
    if (agent === undefined) {
      const options = { timeout: this.#timeout, lookup: guardedLookup(home, this.#resolve) };
      agent = new HttpAgent(parts, this.perOrigin, options);
      this.#agents.set(home.hostname, agent);
      // Fails like all others.
      if (this.#destroyed) void agent.destroy();
    }
    return agent.dispatcher;
  }

  async destroy(): Promise<void> {
    this.#destroyed = true;
    await Promise.all(Array.from(this.#agents.values(), agent => agent.destroy()));
  }
}
