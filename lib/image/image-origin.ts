/**
 * Where an image comes from: its repository, behind what keeps what was fetched, and
 * the document that its reference names. A command asks for that before it loads what
 * reads images: by the time the answer is there the rest of the library is, too.
 */
import { chosenOptions } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import { AskedAhead } from '../registry/asked-ahead.js';
import { isDigest } from '../registry/digest.js';
import { heldBack } from '../registry/held-back.js';
import { type ImageLocation, openImageLocation } from '../registry/image-location.js';
import { KeptContent } from '../registry/kept-content.js';
import { RegistryRepository } from '../registry/registry-repository.js';
import type { ManifestContent, Repository } from '../registry/repository.js';
import { REGISTRY_NAMES, RegistryTransport } from '../registry/transport.js';
import type { Store } from '../store/store.js';
import { lastNamed, storedRepository } from '../store/stored-repository.js';
import type { OpenImageOptions } from './image-options.js';

/** A repository that is open already, and a tag or digest in it; in a layout undefined is its only image. */
export interface ImageInRepository {
  readonly repository: Repository;
  readonly reference?: string | undefined;
}

/** What an image is opened from. */
export interface OpenOrigin {
  /** To be asked for all that is in it. */
  readonly repository: Repository;
  /** Tag or digest; in a layout undefined is the only image. */
  readonly reference: string | undefined;
  /** What the reference names, when the repository has been asked for that. */
  readonly root?: ManifestContent | undefined;
  /** Questions to the repository that are sent before their turn. */
  readonly ahead: AskedAhead;
  /** What is on this machine already is not kept a second time. */
  readonly isRemote: boolean;
  /** Where everything is kept that a registry sends. */
  readonly store: Store | undefined;
  /** Whether the cache folder has more than before. */
  readonly hasKept: boolean;
  /** Frees what belongs to the image alone. Twice is no error. */
  release(): Promise<void>;
}

/** That a tag names what it named last time. */
export interface Presumption {
  /** Of what that was. */
  readonly digest: string;
  /** That, in the same repository, of which nothing is asked until this is confirmed. */
  readonly origin: OpenOrigin;
  /** It is so. The origin is released with the one that was presumed now. */
  confirm(): void;
  /** It is not: what was asked of the repository fails with the reason. */
  drop(reason: unknown): void;
}

export class ImageOrigin implements OpenOrigin {
  readonly repository: Repository;
  readonly reference: string | undefined;
  readonly ahead: AskedAhead;
  readonly isRemote: boolean;
  readonly store: Store | undefined;
  readonly #opened: Repository;
  readonly #offline: boolean;
  readonly #kept: KeptContent | undefined;
  readonly #release: () => Promise<void>;
  #releasing: Promise<void> | undefined;

  /** Makes no request. @throws SociError ERR_SOCI_REFERENCE, ERR_SOCI_INVALID_ARGUMENT */
  constructor(location: string | ImageLocation | ImageInRepository, options: OpenImageOptions) {
    const { context, store = context?.store, cacheDirectory, offline = false } = options;
    if (offline && store === undefined) {
      throw invalidArgument('store', 'a store, since offline nothing else is read', store);
    }
    const opened = openRepository(location, options);
    this.#release = opened.release;
    this.#opened = opened.repository;
    this.#offline = offline;
    this.reference = opened.reference;
    this.isRemote = opened.repository instanceof RegistryRepository;
    this.store = this.isRemote ? store : undefined;
    // What a store keeps is not kept in the cache folder, too.
    const folder = this.isRemote && store === undefined ? cacheDirectory : undefined;
    this.#kept = folder === undefined ? undefined : new KeptContent(folder);
    const keeping =
      this.store === undefined
        ? (this.#kept?.over(opened.repository) ?? opened.repository)
        : storedRepository(opened.repository, this.store, offline ? 'offline' : 'online');
    this.ahead = new AskedAhead(keeping);
    this.repository = this.ahead.repository;
  }

  get hasKept(): boolean {
    return this.#kept?.wrote === true;
  }

  /** Asks for what the reference names; whoever opens the image gets the answer. */
  askForRoot(): void {
    this.ahead.manifest(this.reference);
  }

  /** What the tag named when it was asked for last, if the store knows; a digest or a place on this machine is no tag. */
  async presume(): Promise<Presumption | undefined> {
    const { store, reference } = this;
    if (store === undefined || this.#offline || (reference !== undefined && isDigest(reference)))
      return undefined;
    const named = await lastNamed(store, this.repository.name, reference);
    return named && this.#presumption(store, named.digest);
  }

  /** The same origin, whose repository has said what the reference names. */
  naming(root: ManifestContent): OpenOrigin {
    const { repository, reference, ahead, isRemote, store, hasKept } = this;
    return { repository, reference, root, ahead, isRemote, store, hasKept, release: () => this.release() };
  }

  release(): Promise<void> {
    this.#releasing ??= this.ahead.end().then(() => this.#release());
    return this.#releasing;
  }

  #presumption(store: Store, digest: string): Presumption {
    let confirm = (): void => {};
    let drop = (_reason: unknown): void => {};
    let isConfirmed = false;
    const wanted = new Promise<void>((resolve, reject) => {
      confirm = resolve;
      drop = reject;
    });
    // Most often nobody waits for it.
    wanted.catch(() => {});
    const ahead = new AskedAhead(storedRepository(heldBack(this.#opened, wanted), store, 'online'));
    const origin: OpenOrigin = {
      repository: ahead.repository,
      reference: digest,
      ahead,
      isRemote: this.isRemote,
      store,
      hasKept: false,
      release: async () => {
        await ahead.end();
        if (isConfirmed) await this.release();
      },
    };
    return {
      digest,
      origin,
      confirm: () => {
        isConfirmed = true;
        confirm();
      },
      drop,
    };
  }
}

function openRepository(
  location: string | ImageLocation | ImageInRepository,
  options: OpenImageOptions,
): { repository: Repository; reference: string | undefined; release: () => Promise<void> } {
  if (typeof location === 'object' && 'repository' in location) {
    const { repository, reference } = location;
    return { repository, reference, release: async () => {} };
  }
  const transport = options.transport ?? new RegistryTransport(chosenOptions(options, REGISTRY_NAMES));
  const opened = openImageLocation(location, transport);
  const release = async (): Promise<void> => {
    await opened.repository.close();
    if (options.transport === undefined) await transport.close();
  };
  return { ...opened, release };
}
