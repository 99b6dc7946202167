/**
 * A registry's repository behind a store: what is asked for by digest is fetched
 * once, tags are resolved by one short request, and what refers to an image is
 * remembered for a while. Offline the repository is not asked at all, and what is
 * missing is named.
 */
import { SociError } from '../errors.js';
import {
  type ContentShelf,
  getKeptBlob,
  getKeptManifest,
  overRepository,
} from '../registry/content-shelf.js';
import { type Descriptor, expectArray, parseDescriptor } from '../registry/descriptor.js';
import { isDigest } from '../registry/digest.js';
import type {
  ManifestContent,
  OpenBlobOptions,
  ReferrersOptions,
  Repository,
} from '../registry/repository.js';
import { VerifiedSource } from '../registry/verified-source.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';
import type { Question } from './answers.js';
import { OfflineSource, offline } from './offline-source.js';
import type { Store } from './store.js';

export type Connection = 'online' | 'offline';

/** How old an answer about referrers may be; one that there are none is soon wrong, when somebody makes an index. */
const MAX_REFERRERS_AGE_MS = 3_600_000;
const MAX_EMPTY_AGE_MS = 600_000;
const MAX_REFERRERS = 10_000;

/** Which manifest a tag names. @param repository `registry/path` */
export function tagQuestion(repository: string, tag: string | undefined): Question {
  return ['tag', repository, tag ?? ''];
}

/** What a tag named when it was asked for last. @param repository `registry/path` */
export async function lastNamed(
  store: Store,
  repository: string,
  tag: string | undefined,
): Promise<Descriptor | undefined> {
  const answer = await store.recall(tagQuestion(repository, tag));
  return answer && parsed(() => parseDescriptor(answer.value, 'tag'));
}

/** What refers to a manifest. */
export function referrersQuestion(repository: string, digest: string, artifactType: string): Question {
  return ['referrers', repository, digest, artifactType];
}

/** `repository`, asked only for what `store` does not have. It is closed by whoever opened it. */
export function storedRepository(repository: Repository, store: Store, connection: Connection): Repository {
  const origin = connection === 'online' ? repository : unreachable(repository);
  return overRepository(origin, new StoredRepository(origin, store, connection).methods());
}

class StoredRepository {
  readonly #origin: Repository;
  readonly #store: Store;
  readonly #connection: Connection;
  readonly #shelf: ContentShelf;

  constructor(origin: Repository, store: Store, connection: Connection) {
    this.#origin = origin;
    this.#store = store;
    this.#connection = connection;
    this.#shelf = {
      read: (digest, limit) => store.get(digest, limit),
      keep: (digest, bytes) => store.put(digest, bytes),
    };
  }

  methods(): Partial<Repository> {
    return {
      resolve: (reference, options) => this.#resolve(reference, options),
      getManifest: (reference, options) => this.#getManifest(reference, options),
      getBlob: (descriptor, options) => getKeptBlob(this.#shelf, this.#origin, descriptor, options),
      openBlob: (descriptor, options) => this.#openBlob(descriptor, options),
      referrers: (digest, options) => this.#referrers(digest, options),
    };
  }

  async #resolve(reference: string | undefined, options?: AbortableOptions): Promise<Descriptor> {
    const known = this.#connection === 'offline' ? await this.#recallTag(reference) : undefined;
    return known ?? (await this.#origin.resolve(reference, options));
  }

  async #getManifest(
    reference: string | Descriptor | undefined,
    options?: AbortableOptions,
  ): Promise<ManifestContent> {
    if (typeof reference === 'object' || (reference !== undefined && isDigest(reference))) {
      return await getKeptManifest(this.#shelf, this.#origin, reference, options);
    }
    const known = await this.#recallTag(reference);
    if (known === undefined) {
      // The first time the manifest is wanted anyway, whatever the tag names.
      const content = await this.#origin.getManifest(reference, options);
      await this.#store.put(content.descriptor.digest, content.bytes);
      await this.#rememberTag(reference, content.descriptor);
      return content;
    }
    if (this.#connection === 'offline') {
      return await getKeptManifest(this.#shelf, this.#origin, known, options);
    }
    const resolved = await this.#origin.resolve(reference, options);
    if (resolved.digest !== known.digest) await this.#rememberTag(reference, resolved);
    return await getKeptManifest(this.#shelf, this.#origin, resolved, options);
  }

  async #openBlob(descriptor: Descriptor, options?: OpenBlobOptions): Promise<RangeSource> {
    options?.signal?.throwIfAborted();
    const name = `${this.#origin.name}@${descriptor.digest}`;
    const source =
      this.#connection === 'online'
        ? await this.#origin.openBlob(descriptor, options)
        : new OfflineSource(name, descriptor);
    try {
      return new VerifiedSource(await this.#store.open(descriptor, source), descriptor);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  async #referrers(digest: string, options: ReferrersOptions = {}): Promise<Descriptor[]> {
    const { artifactType = '' } = options;
    const question = referrersQuestion(this.#origin.name, digest, artifactType);
    const answer = await this.#store.recall(question);
    const known = answer && parsed(() => descriptors(answer.value));
    const maxAge = known?.length === 0 ? MAX_EMPTY_AGE_MS : MAX_REFERRERS_AGE_MS;
    const isFresh = this.#connection === 'offline' || (answer?.age ?? 0) <= maxAge;
    if (known !== undefined && isFresh) return known;
    const found = await this.#origin.referrers(digest, options);
    await this.#store.remember(question, found);
    return found;
  }

  async #recallTag(reference: string | undefined): Promise<Descriptor | undefined> {
    return await lastNamed(this.#store, this.#origin.name, reference);
  }

  async #rememberTag(reference: string | undefined, { mediaType, digest, size }: Descriptor): Promise<void> {
    const question = tagQuestion(this.#origin.name, reference);
    await this.#store.remember(question, { mediaType, digest, size });
  }
}

function descriptors(value: unknown): Descriptor[] {
  return expectArray(value, 'referrers', MAX_REFERRERS).map((each, at) =>
    parseDescriptor(each, `referrers[${at}]`),
  );
}

/** Undefined for an answer that is none: whatever wrote it, the question is asked again. */
function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof SociError) return undefined;
    throw error;
  }
}

/** A repository of which only the name is known. */
function unreachable({ name }: Repository): Repository {
  const missing = async (what: string, data: Readonly<Record<string, unknown>> = {}): Promise<never> => {
    throw offline(what, { name, ...data });
  };
  const ofManifest = (reference: string | Descriptor | undefined) => {
    const target = typeof reference === 'object' ? reference.digest : (reference ?? 'latest');
    const where = `${name}${isDigest(target) ? '@' : ':'}${target}`;
    return missing(`${where}: its manifest is wanted`, { reference: target });
  };
  const cannot = () => missing(`${name}: more than manifests and blobs is wanted`);
  return {
    name,
    readOnly: `${name}: offline nothing is pushed`,
    resolve: ofManifest,
    getManifest: ofManifest,
    getBlob: ({ digest, size }) =>
      missing(`${name}@${digest}: all ${size} bytes are wanted`, { digest, offset: 0, length: size }),
    openBlob: ({ digest }) => missing(`${name}@${digest}: the blob is wanted`, { digest }),
    referrers: digest => missing(`${name}@${digest}: what refers to it is wanted`, { digest }),
    hasBlob: cannot,
    pushBlob: cannot,
    pushManifest: cannot,
    deleteManifest: cannot,
    listTags: cannot,
    commit: async () => {},
    close: async () => {},
  };
}
