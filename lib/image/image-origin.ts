/**
 * Where an image comes from: its repository, behind what keeps what was fetched, and
 * the document that its reference names. A command asks for that before it loads what
 * reads images: by the time the answer is there the rest of the library is, too.
 */
import { chosenOptions } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import { AskedAhead } from '../registry/asked-ahead.js';
import { type ImageLocation, openImageLocation } from '../registry/image-location.js';
import { KeptContent } from '../registry/kept-content.js';
import { RegistryRepository } from '../registry/registry-repository.js';
import type { Repository } from '../registry/repository.js';
import { REGISTRY_NAMES, RegistryTransport } from '../registry/transport.js';
import type { Store } from '../store/store.js';
import { storedRepository } from '../store/stored-repository.js';
import type { OpenImageOptions } from './image-options.js';

/** A repository that is open already, and a tag or digest in it; in a layout undefined is its only image. */
export interface ImageInRepository {
  readonly repository: Repository;
  readonly reference?: string | undefined;
}

export class ImageOrigin {
  /** To be asked for all that is in it. */
  readonly repository: Repository;
  /** Tag or digest; in a layout undefined is the only image. */
  readonly reference: string | undefined;
  /** Questions to the repository that are sent before their turn. */
  readonly ahead: AskedAhead;
  /** What is on this machine already is not kept a second time. */
  readonly isRemote: boolean;
  /** Where everything is kept that a registry sends. */
  readonly store: Store | undefined;
  readonly #kept: KeptContent | undefined;
  readonly #release: () => Promise<void>;

  /** Makes no request. @throws SociError ERR_SOCI_REFERENCE, ERR_SOCI_INVALID_ARGUMENT */
  constructor(location: string | ImageLocation | ImageInRepository, options: OpenImageOptions) {
    const { context, store = context?.store, cacheDirectory, offline = false } = options;
    if (offline && store === undefined) {
      throw invalidArgument('store', 'a store, since offline nothing else is read', store);
    }
    const opened = openRepository(location, options);
    this.#release = opened.release;
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

  /** Whether the cache folder has more than before. */
  get hasKept(): boolean {
    return this.#kept?.wrote === true;
  }

  /** Asks for what the reference names; whoever opens the image gets the answer. */
  askForRoot(): void {
    this.ahead.manifest(this.reference);
  }

  /** Frees what belongs to the image alone. */
  async release(): Promise<void> {
    await this.ahead.end();
    await this.#release();
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
