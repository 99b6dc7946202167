/**
 * Everything that reads share: settings, memory, decoding threads, decoded
 * spans, temporary disk space, turns at hosts. It is passed down from whoever opens an image or
 * a layer to whatever reads for it, and there is a default one; nothing else in
 * the library is both shared and mutable. A process that serves several parties
 * gives each a context, and with it bounds of its own.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import { setDecodeConcurrency } from '../binding.js';
import { TemporarySpace } from '../files/temporary-file.js';
import { HostTraffic } from '../source/http/host-traffic.js';
import type { Store } from '../store/store.js';
import { DecodePool } from './decode-pool.js';
import { MemoryBudget } from './memory-budget.js';
import { allPlanning, type Planning } from './planning.js';
import { ReusedMemory } from './reused-memory.js';
import { changedSettings, DEFAULT_SETTINGS, type Settings } from './settings.js';
import { SpanCache } from './span-cache.js';

/** For each thread one job under way, and one to follow it. */
const JOBS_PER_THREAD = 2;

export interface SharedParts {
  /** Where blobs of registries are kept, closed by whoever opened it. Default: nowhere. */
  readonly store?: Store | undefined;
}

const SHARED_NAMES: OptionNames<SharedParts> = { store: true };

export class ReadContext {
  /** Where blobs of registries are kept. */
  readonly store: Store | undefined;
  /** @internal */
  readonly planning: Planning = allPlanning();
  /** @internal */
  readonly decoding = new DecodePool(() => JOBS_PER_THREAD * this.#settings.decodeConcurrency);
  /** @internal */
  readonly cache: SpanCache;
  /** @internal */
  readonly memory: MemoryBudget;
  /** @internal Of passes, one after the other and side by side. */
  readonly lent: ReusedMemory = ReusedMemory.pinned(() => this.#settings.memoryBytes);
  /** @internal */
  readonly temporary = new TemporarySpace(() => this.#settings);
  /** The requests of all images that are opened in it: for a transport of one's own, too. */
  readonly traffic = new HostTraffic(() => this.#settings.maxBytesPerSecond);
  readonly #parts = new Map<new () => object, object>();
  #settings: Settings;
  #serial = 0;

  /** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
  constructor(settings: Partial<Settings> = {}, shared: SharedParts = {}) {
    checkOptions('ReadContext', shared, SHARED_NAMES);
    this.store = shared.store;
    this.#settings = changedSettings(DEFAULT_SETTINGS, settings);
    this.cache = new SpanCache(this.#settings.cacheBytes);
    this.memory = new MemoryBudget(() => this.#settings.memoryBytes, this.cache);
  }

  /** The settings in force. */
  get settings(): Settings {
    return this.#settings;
  }

  /**
   * Changes the settings that are given and returns all of them. Reads under way keep what they hold; what comes
   * after obeys the new values.
   *
   * @throws SociError ERR_SOCI_INVALID_ARGUMENT for an unknown setting or a value out of its range; nothing is changed
   *   then
   */
  configure(changes: Partial<Settings>): Settings {
    const { cacheBytes } = this.#settings;
    this.#settings = changedSettings(this.#settings, changes);
    if (this.#settings.cacheBytes !== cacheBytes) this.cache.resize(this.#settings.cacheBytes);
    this.memory.admit();
    this.decoding.admit();
    this.traffic.admit();
    return this.#settings;
  }

  /** @internal The one instance of a class of the strata above in this context, which closes it if it can be. */
  part<T extends object>(of: new () => T): T {
    let part = this.#parts.get(of) as T | undefined;
    if (part === undefined) {
      part = new of();
      this.#parts.set(of, part);
    }
    return part;
  }

  /** @internal A name that nothing else in this context has. */
  uniqueName(): string {
    this.#serial++;
    return `#${this.#serial}`;
  }

  /** Frees what is kept for later reads. Close what reads through the context first. Twice is no error. */
  async close(): Promise<void> {
    const parts: Partial<{ close(): Promise<void> }>[] = [...this.#parts.values()];
    this.#parts.clear();
    this.cache.clear();
    this.lent.clear();
    await Promise.all(parts.map(part => part.close?.()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** What is read in when nothing else is said. */
export const defaultContext = new ReadContext();
setDecodeConcurrency(defaultContext.settings.decodeConcurrency);

/** The settings of the default context. */
export function settings(): Settings {
  return defaultContext.settings;
}

/** As `ReadContext.configure`, of the default context. */
export function configure(changes: Partial<Settings>): Settings {
  const changed = defaultContext.configure(changes);
  setDecodeConcurrency(changed.decodeConcurrency);
  return changed;
}
