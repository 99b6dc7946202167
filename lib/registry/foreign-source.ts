/**
 * A layer that its image's registry or layout need not have, because its
 * descriptor names URLs where it is (OCI image-spec, descriptor.md, `urls`; the
 * base layers of Windows images): its own place is asked first, then these. They
 * come from a document, so they get no credentials, and lead to no host that a
 * redirect might not lead to either. Whoever reads compares digests as always.
 */
import { SociError } from '../errors.js';
import { ContinuedRead } from '../source/continued-read.js';
import { HttpSource } from '../source/http/http-source.js';
import type { HttpTransport } from '../source/http/http-transport.js';
import { redactUrl } from '../source/http/redact.js';
import type { RetryPolicy } from '../source/http/retry-policy.js';
import type { LinkEstimate } from '../source/link-estimate.js';
import { FilledSource, type RangeSource, type ReadOptions } from '../source/range-source.js';
import type { Descriptor } from './descriptor.js';

/** How URLs of documents are reached. */
export interface ForeignAccess {
  readonly transport: HttpTransport;
  /** On whose behalf: decides which hosts they must not lead to. */
  readonly home: URL;
  readonly retry: RetryPolicy;
}

/** URLs of one descriptor that are tried. */
const MAX_URLS = 10;

/** Range errors and closing are the caller's and no place's. */
const FINAL: readonly SociError['code'][] = ['ERR_SOCI_SOURCE_RANGE', 'ERR_SOCI_CLOSED'];

export function namesUrls({ urls }: Descriptor): boolean {
  return urls !== undefined && urls.length > 0;
}

/** `own` has no such blob, and none of the URLs did: why not, one by one. */
export function notFoundAnywhere(
  name: string,
  descriptor: Descriptor,
  reasons: readonly string[],
): SociError {
  const { digest, urls = [] } = descriptor;
  const tried = reasons.length > 0 ? reasons : urls.slice(0, MAX_URLS).map(url => shownUrl(url));
  const more = urls.length > MAX_URLS ? `; ${urls.length - MAX_URLS} more are not tried` : '';
  return new SociError(
    'ERR_SOCI_REGISTRY_NOT_FOUND',
    `${name}@${digest}: a foreign layer that is not stored here, nor at its urls: ${tried.join('; ')}${more}`,
    { data: { digest, urls: urls.slice(0, MAX_URLS).map(url => shownUrl(url)) } },
  );
}

export class ForeignSource extends FilledSource {
  readonly name: string;
  readonly size: number;
  readonly #repository: string;
  readonly #descriptor: Descriptor;
  readonly #access: ForeignAccess;
  readonly #places: readonly (() => Promise<RangeSource>)[];
  readonly #opened = new Map<number, Promise<RangeSource>>();
  readonly #reasons: string[] = [];
  /** The one that is read, or was last. */
  #reached: RangeSource | undefined;
  /** The first place that has not failed. */
  #first = 0;

  /**
   * @param name of the repository or layout
   * @param own The blob in the image's own place; undefined when it is known not to be there
   */
  constructor(name: string, descriptor: Descriptor, own: RangeSource | undefined, access: ForeignAccess) {
    super();
    this.name = own?.name ?? `${name}@${descriptor.digest}`;
    this.size = descriptor.size;
    this.#repository = name;
    this.#descriptor = descriptor;
    this.#access = access;
    const urls = (descriptor.urls ?? []).slice(0, MAX_URLS);
    this.#places = [
      ...(own === undefined ? [] : [async () => own]),
      ...urls.map(url => () => this.#openUrl(url)),
    ];
    if (own !== undefined) this.#opened.set(0, Promise.resolve(own));
  }

  get link(): LinkEstimate | undefined {
    return this.#reached?.link;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    const read = new ContinuedRead(target, offset, options);
    for (let place = this.#first; ; place++) {
      try {
        this.#reached = await this.#open(place);
        return await read.from(this.#reached);
      } catch (error) {
        this.#giveUpOn(place, error, options?.signal);
      }
    }
  }

  override async *stream(options?: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    for (let place = this.#first; ; place++) {
      let started = false;
      try {
        for await (const chunk of (await this.#open(place)).stream(options)) {
          started = true;
          yield chunk;
        }
        return;
      } catch (error) {
        // Bytes of one place are not continued with those of another: their digest would blame nobody.
        if (started) throw error;
        this.#giveUpOn(place, error, options?.signal);
      }
    }
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#opened.values());
    await Promise.all(
      opened.map(result => (result.status === 'fulfilled' ? result.value.close() : undefined)),
    );
  }

  #open(place: number): Promise<RangeSource> {
    const known = this.#opened.get(place) ?? this.#places[place]!();
    this.#opened.set(place, known);
    return known;
  }

  async #openUrl(url: string): Promise<RangeSource> {
    return await HttpSource.open(url, { ...this.#access, size: this.size });
  }

  /** Returns when there is another place to try. */
  #giveUpOn(place: number, error: unknown, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (!(error instanceof SociError) || FINAL.includes(error.code)) throw error;
    const urls = this.#descriptor.urls ?? [];
    const own = this.#places.length - Math.min(urls.length, MAX_URLS);
    // Its own place is left only for what it does not have: anything else is a failure that a message must tell.
    if (place < own && error.code !== 'ERR_SOCI_REGISTRY_NOT_FOUND') throw error;
    if (place >= this.#first) {
      this.#first = place + 1;
      if (place >= own) this.#reasons.push(reasonOf(shownUrl(urls[place - own] ?? ''), error));
    }
    if (this.#first >= this.#places.length) {
      this.#first = 0;
      throw notFoundAnywhere(this.#repository, this.#descriptor, this.#reasons.splice(0));
    }
  }
}

function reasonOf(url: string, { message }: SociError): string {
  return message.includes(url) ? message : `${url} (${message})`;
}

function shownUrl(url: string): string {
  return URL.canParse(url) ? redactUrl(url).slice(0, 200) : JSON.stringify(url.slice(0, 200));
}
