/**
 * A blob of a registry as a RangeSource: HttpSource with the registry's
 * credentials, over the endpoint that is best to ask (endpoint-choice.ts), and
 * over the others when that fails. One that fails is left for a while; if
 * nobody serves ranges, the blob is taken whole from the first that has it.
 */
import { SociError } from '../errors.js';
import { closedError } from '../source/byte-range.js';
import { ContinuedRead, type WantedRange } from '../source/continued-read.js';
import type { HttpSource } from '../source/http/http-source.js';
import type { LinkEstimate } from '../source/link-estimate.js';
import { FilledSource, type ReadOptions } from '../source/range-source.js';
import { BlobEndpoint, isClosed, type RegistryBlob } from './blob-endpoint.js';
import { type Asked, isWorthHedging, readHedged } from './blob-hedge.js';
import type { Endpoint } from './endpoint.js';
import { goesBefore } from './endpoint-choice.js';
import type { Behind } from './endpoint-patience.js';
import type { Hedging } from './hedging.js';
import { ServedRanges } from './served-ranges.js';
import type { RegistryTransport } from './transport.js';
import { type KeepWholeOptions, WholeBlob } from './whole-blob.js';

type HowToStream = (source: HttpSource, options?: ReadOptions) => AsyncIterable<Uint8Array>;

const plainStream: HowToStream = (source, options) => source.stream(options);

/** What a server without ranges sends is kept on its way: later reads would have to fetch all of it again. */
function streamKeptBy(whole: WholeBlob): HowToStream {
  return async function* (source, options = {}) {
    let rangeless = false;
    const chunks = source.streamAsRange(options, () => {
      rangeless = true;
    });
    // The reply is there when its first bytes are.
    const first = await chunks.next();
    if (first.done === true) return;
    const all = withFirst(first.value, chunks);
    yield* rangeless ? whole.keeping(all) : all;
  };
}

async function* withFirst(
  first: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

export interface RegistryBlobOptions {
  /** Where the blob is kept if nobody serves ranges; without it such reads fail. */
  readonly keepWhole?: KeepWholeOptions | undefined;
  /** ms of silence of endpoints that were asked before those given. */
  readonly spent?: number | undefined;
}

/** A place in its turn. */
interface Candidate {
  readonly place: BlobEndpoint;
  readonly behind: Behind;
}

/** A place that was asked, and what came of it. */
interface Failure {
  readonly place: BlobEndpoint;
  readonly error: unknown;
}

export class RegistryBlobSource extends FilledSource {
  readonly size: number;
  readonly name: string;
  readonly #transport: RegistryTransport;
  /** In the configured order. */
  readonly #places: readonly BlobEndpoint[];
  readonly #whole: WholeBlob | undefined;
  readonly #spent: number;
  readonly #served = new ServedRanges<BlobEndpoint>();
  /** Who served what had a wrong digest. */
  readonly #accused = new ServedRanges<BlobEndpoint>();
  /** Two places served the same wrong bytes: what is wrong is the digest. */
  #digestsAreWrong = false;
  /** The one that is read, or was last. */
  #reached: BlobEndpoint | undefined;
  #closed = false;

  /** @param endpoints At least one, in the configured order. */
  constructor(
    transport: RegistryTransport,
    blob: RegistryBlob,
    endpoints: readonly Endpoint[],
    options: RegistryBlobOptions = {},
  ) {
    super();
    this.#transport = transport;
    this.#places = endpoints.map(endpoint => new BlobEndpoint(transport, endpoint, blob));
    const { keepWhole, spent = 0 } = options;
    this.#spent = spent;
    this.size = blob.size;
    this.name = `${blob.registry}/${blob.repository}@${blob.digest}`;
    this.#whole =
      keepWhole &&
      new WholeBlob({ name: this.name, ...blob }, keepWhole, signal =>
        this.#streamFrom(plainStream, { signal }),
      );
  }

  get link(): LinkEstimate | undefined {
    return this.#reached?.link;
  }

  async readInto(target: Uint8Array, offset: number, options: ReadOptions = {}): Promise<void> {
    const patience = this.#transport.patience(this.#spent);
    const read = new ContinuedRead(target, offset, options);
    let hedging = isWorthHedging(read.rest) ? this.#transport.hedging : undefined;
    hedging?.earn(target.length);
    if (options.fresh === true) this.#accuse(offset, offset + target.length);
    const waiting = this.#choose(offset);
    let failure: Failure | undefined;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (this.#whole?.begun) break;
      if (this.#whole !== undefined && next.place.rangeless) continue;
      if (failure !== undefined && !patience.isWorthAsking(next.place.endpoint)) continue;
      this.#checkOpen();
      const { rest } = read;
      const asked = await this.#ask(next, rest, patience.spent, hedging);
      const { place } = asked;
      if (asked.failure === undefined) {
        // Of a range that another place began, a digest blames nobody.
        this.#served.note(offset, offset + target.length, rest.offset === offset ? place : undefined);
        return;
      }
      failure = this.#giveUpOn({ place, error: asked.failure.error }, failure, options.signal);
      patience.note(asked.failure.error);
      // Whoever was ended for the sake of one that then failed has not failed himself.
      if (asked.by === 'second') waiting.unshift(next);
      hedging = undefined;
    }
    this.#checkOpen();
    const takesWhole = this.#whole?.begun || this.#places.some(({ rangeless }) => rangeless);
    if (this.#whole === undefined || !takesWhole) throw worded(failure);
    await read.from(await this.#whole.open(options.signal));
  }

  override stream(options?: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const whole = this.#whole;
    if (whole?.present !== undefined) return whole.present.stream(options);
    return this.#streamFrom(whole === undefined ? plainStream : streamKeptBy(whole), options);
  }

  async *#streamFrom(
    how: HowToStream,
    options: ReadOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const patience = this.#transport.patience(this.#spent);
    const chosen = this.#choose(0);
    // Who has all of the blob and no ranges of it has been asked before.
    const order = [
      ...chosen.filter(({ place }) => place.rangeless),
      ...chosen.filter(({ place }) => !place.rangeless),
    ];
    let failure: Failure | undefined;
    for (const { place, behind } of order) {
      if (failure !== undefined && !patience.isWorthAsking(place.endpoint)) continue;
      this.#checkOpen();
      let started = false;
      try {
        this.#reached = place;
        const turn = { behind, spent: patience.spent };
        for await (const chunk of place.stream(source => how(source, options), turn)) {
          started = true;
          yield chunk;
        }
        return;
      } catch (error) {
        // Bytes of one host are not continued with those of another: their digest would blame nobody.
        if (started) {
          options.signal?.throwIfAborted();
          throw place.worded(error);
        }
        failure = this.#giveUpOn({ place, error }, failure, options.signal);
        patience.note(error);
      }
    }
    throw worded(failure);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#places.map(place => place.close()));
    await this.#whole?.close();
  }

  /** All places, whom to ask first before the others. Another one is probed meanwhile, if that is worth it. */
  #choose(offset: number): Candidate[] {
    const standings = this.#places.map(({ standing }) => standing);
    const { order, probe } = this.#transport.choose(standings);
    if (probe !== undefined && offset < this.size) void this.#places[probe]!.probe(offset);
    const sound = standings.filter(({ trust }) => trust === 'sound').length;
    return order.map((index, position): Candidate => {
      const place = this.#places[index]!;
      // Who can only be asked as a last resort is no reason for haste.
      return { place, behind: place.endpoint.mirror || position + 1 < sound ? 'others' : 'nobody' };
    });
  }

  /** Asks one place for all of `range`. */
  async #ask(
    { place, behind }: Candidate,
    range: WantedRange,
    spent: number,
    hedging?: Hedging,
  ): Promise<Asked> {
    this.#reached = place;
    const turn = { behind, spent };
    const wait = hedging?.wait(place.health);
    if (hedging !== undefined && wait !== undefined)
      return await readHedged(hedging, range, { place, turn, wait, rival: () => this.#rivalOf(place) });
    try {
      await place.readInto(range, turn);
      return { place, by: 'first', failure: undefined };
    } catch (error) {
      return { place, by: 'first', failure: { error } };
    }
  }

  /** Whom a second request goes to: another host that is not clearly slower, or the same on another connection. */
  #rivalOf(first: BlobEndpoint): BlobEndpoint {
    const { order } = this.#transport.choose(this.#places.map(({ standing }) => standing));
    const other = order
      .map(index => this.#places[index]!)
      .find(place => place !== first && !place.rangeless && place.standing.trust === 'sound');
    return other === undefined || goesBefore(first.standing, other.standing) ? first : other;
  }

  /** Bytes are asked for anew since their digest was wrong: whoever served them is left for a while. */
  #accuse(start: number, end: number): void {
    const suspect = this.#served.lastOf(start, end);
    if (suspect === undefined || this.#places.length === 1 || this.#digestsAreWrong) return;
    const accused = this.#accused.lastOf(start, end);
    if (accused === undefined || accused === suspect) {
      this.#accused.note(start, end, suspect);
      suspect.health.lied();
      return;
    }
    this.#digestsAreWrong = true;
    accused.health.forgive();
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError(this.name);
  }

  /**
   * Returns whose failure counts if nobody else can help, the registry's own before a mirror's; range errors are the
   * caller's and no endpoint's.
   */
  #giveUpOn(failed: Failure, before: Failure | undefined, signal: AbortSignal | undefined): Failure {
    signal?.throwIfAborted();
    const { place, error } = failed;
    const isCallers = error instanceof SociError && error.code === 'ERR_SOCI_SOURCE_RANGE';
    if (isCallers || isClosed(error)) throw place.worded(error);
    place.failed(error);
    return before?.place.endpoint.mirror === false ? before : failed;
  }
}

function worded(failure: Failure | undefined): unknown {
  return failure?.place.worded(failure.error);
}
