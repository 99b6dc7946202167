/**
 * What every command on images does: the registries that its operands name are
 * opened and images of them read with what is kept, and all of it is said on
 * standard error and closed afterwards.
 */
import { SociError } from '../errors.js';
import { builtZtocsIn, DEFAULT_MAX_CACHE_BYTES, pruneCache } from '../files/cache-folder.js';
import { ImageOrigin } from '../image/image-origin.js';
import type {
  Image,
  ImageProgress,
  LayerNote,
  OpenedLocation,
  OpenImageOptions,
  ReadContext,
  RegistryOptions,
  Repository,
  Semantics,
  Store,
  ZtocCache,
} from '../index.js';
import { isDigest } from '../registry/digest.js';
import { openImageLocation } from '../registry/image-location.js';
import { KeptContent } from '../registry/kept-content.js';
import { parsePlatform } from '../registry/platform.js';
import { RegistryRepository } from '../registry/registry-repository.js';
import { RegistryTransport } from '../registry/transport.js';
import { FolderZtocCache } from '../soci/folder-ztoc-cache.js';
import { StoreZtocCache } from '../soci/store-ztoc-cache.js';
import { storedRepository } from '../store/stored-repository.js';
import { byteText } from './byte-text.js';
import { type Invocation, optionList, optionText, UsageError } from './command.js';
import { counted } from './counted.js';
import { type KeptPlaces, keptPlaces } from './kept-places.js';
import { refuseLocalPath } from './local-operand.js';
import { registryOf, registryOptions } from './registry-access.js';
import { Reporter } from './reporter.js';
import { reportRequests } from './request-events.js';
import type { StandardOutput } from './standard-output.js';

/** Of an image's layers that can be read in two ways, and of its indexes that cannot be used, so many are spoken of. */
const MAX_NOTES = 5;

export class ImageSession {
  readonly invocation: Invocation;
  readonly reporter: Reporter;
  readonly transport: RegistryTransport;
  /** Undefined when there is none that can be used. */
  readonly cacheDirectory: string | undefined;
  readonly #opened: Repository[] = [];
  #context: ReadContext | undefined;
  readonly #kept: KeptContent[] = [];
  #built = false;
  /** Of `--store`. */
  readonly store: Store | undefined;

  private constructor(
    invocation: Invocation,
    reporter: Reporter,
    options: RegistryOptions,
    kept: KeptPlaces,
  ) {
    this.invocation = invocation;
    this.reporter = reporter;
    this.transport = new RegistryTransport(options);
    this.cacheDirectory = kept.cacheDirectory;
    this.store = kept.store;
  }

  /**
   * Runs `body` and frees everything afterwards.
   *
   * @param images The IMAGE operands. What is said of a user holds for the registry of the last one that has any.
   */
  static async run(
    invocation: Invocation,
    images: readonly string[],
    body: (session: ImageSession) => Promise<void>,
  ): Promise<void> {
    const { quiet, debug } = invocation.options;
    const reporter = new Reporter({
      stream: invocation.errors,
      quiet: quiet === true,
      debug: debug === true,
    });
    const endReports = reportRequests(reporter, invocation);
    try {
      for (const image of images) await refuseLocalPath(image);
      const options = await registryOptions(invocation, images.flatMap(registryOf));
      const kept = await keptPlaces(invocation, reporter);
      await new ImageSession(invocation, reporter, options, kept).#run(body);
    } finally {
      endReports();
    }
  }

  async #run(body: (session: ImageSession) => Promise<void>): Promise<void> {
    try {
      await body(this);
    } catch (error) {
      this.reporter.debug((error as Error).stack ?? String(error));
      throw error;
    } finally {
      this.reporter.close();
      await this.#close();
    }
  }

  get signal(): AbortSignal {
    return this.invocation.signal;
  }

  get output(): StandardOutput {
    return this.invocation.output;
  }

  get json(): boolean {
    return this.invocation.options['json'] === true;
  }

  /** For what is built by somebody else than a read. */
  cacheForBuilding(): ZtocCache | undefined {
    this.#built = true;
    // As openImage has it, so that what one command builds serves the others.
    if (this.store !== undefined) return new StoreZtocCache(this.store);
    return this.cacheDirectory === undefined
      ? undefined
      : new FolderZtocCache(builtZtocsIn(this.cacheDirectory));
  }

  /** Makes no request. Closed with the session. */
  open(image: string): OpenedLocation {
    const opened = openImageLocation(image, this.transport);
    this.#opened.push(opened.repository);
    // What asks the registry itself is refused by the store then.
    return this.#offline ? this.#stored(opened) : opened;
  }

  /** As `open`; manifests, configs and ztocs that any command fetched by digest before are taken from the cache. */
  openKept(image: string): OpenedLocation {
    const opened = this.open(image);
    if (this.store !== undefined) return this.#stored(opened);
    const { repository, reference } = opened;
    const local = !(repository instanceof RegistryRepository);
    if (local || this.cacheDirectory === undefined) return { repository, reference };
    const kept = new KeptContent(this.cacheDirectory);
    this.#kept.push(kept);
    return { repository: kept.over(repository), reference };
  }

  get #offline(): boolean {
    return this.invocation.options['offline'] === true;
  }

  #stored({ repository, reference }: OpenedLocation): OpenedLocation {
    const { store } = this;
    if (store === undefined || !(repository instanceof RegistryRepository)) return { repository, reference };
    return {
      repository: storedRepository(repository, store, this.#offline ? 'offline' : 'online'),
      reference,
    };
  }

  /** The digest of `--index`. @throws UsageError for 'none' */
  get index(): string | undefined {
    const index = indexOption(this.invocation);
    if (index === 'none') throw new UsageError("--index: 'none' makes no sense here, expected a digest");
    return index;
  }

  /** Of `--index`; false for 'none'. */
  get chosenIndex(): string | false | undefined {
    const index = indexOption(this.invocation);
    return index === 'none' ? false : index;
  }

  /** Of `--platform`; undefined when all are meant. @throws UsageError, SociError ERR_SOCI_PLATFORM */
  get platforms() {
    const names = optionList(this.invocation, 'platform');
    if (names.length > 0 && this.invocation.options['all-platforms'] === true) {
      throw new UsageError('expected either --platform or --all-platforms');
    }
    return names.length === 0 ? undefined : names.map(parsePlatform);
  }

  /** Opens an image for reading and says afterwards what that has cost. */
  async read(
    image: string,
    body: (image: Image) => Promise<void>,
    { onlyLayer }: Pick<OpenImageOptions, 'onlyLayer'> = {},
  ): Promise<void> {
    const platform = this.onePlatform;
    const options = {
      transport: this.transport,
      platform,
      onlyLayer,
      index: this.chosenIndex,
      ztocs: 'at-once',
      semantics: this.semantics,
      cacheDirectory: this.cacheDirectory,
      store: this.store,
      offline: this.#offline,
      signal: this.signal,
      onProgress: this.#progress(image.startsWith('docker-archive:') ? '' : INDEX_ADVICE),
    } as const;
    await using opened = await this.#openImage(image, options).catch(error => {
      throw layerRefusal(error, onlyLayer);
    });
    const { found } = opened.index ?? {};
    this.reporter.debug(
      found === undefined
        ? 'no SOCI index'
        : `SOCI index ${found.descriptor.digest} (${found.index.version}), by ${found.via}`,
    );
    this.#tellUnusable(opened);
    await body(opened);
    // Not to be found out for the note's sake: a layer may have to be read for it.
    if (opened.loaded) this.#tellNotes(await opened.notes({ signal: this.signal }));
    const { askedBytes, fetchedBytes, requests } = opened.stats;
    const fetched = `${byteText(fetchedBytes)} of layers fetched in ${counted(requests, 'request')}`;
    this.reporter.debug(`${byteText(askedBytes)} asked for, ${fetched}`);
  }

  /** Sends the first request before it loads what reads the answer. */
  async #openImage(image: string, options: OpenImageOptions): Promise<Image> {
    const origin = new ImageOrigin(image, options);
    origin.askForRoot();
    const { openImageFrom, ReadContext } = await import('../image/reading.js').catch(async error => {
      await origin.release();
      throw error;
    });
    this.#context ??= new ReadContext();
    return await openImageFrom(origin, { ...options, context: this.#context });
  }

  /** An index that is named but not there (the image was copied without it) makes reading slower, silently. */
  #tellUnusable({ index }: Image): void {
    for (const { digest, outcome, message } of index?.attempts.slice(0, MAX_NOTES) ?? []) {
      if (digest === undefined || outcome !== 'unusable') continue;
      this.reporter.line(`the SOCI index ${shortDigest(digest)} of the image is not used: ${message}`);
    }
  }

  /** The platform that is read. @throws UsageError for several */
  get onePlatform(): string | undefined {
    const platforms = optionList(this.invocation, 'platform');
    if (platforms.length > 1) throw new UsageError('--platform: expected one platform to read');
    return platforms[0];
  }

  /** Of `--semantics`. @throws UsageError */
  get semantics(): Semantics | undefined {
    const semantics = optionText(this.invocation, 'semantics');
    if (semantics === undefined || semantics === 'overlay' || semantics === 'spec') return semantics;
    throw new UsageError(`--semantics: expected 'overlay' or 'spec', received '${semantics}'`);
  }

  #tellNotes(notes: readonly LayerNote[]): void {
    for (const { layer, path, overlay, spec } of notes.slice(0, MAX_NOTES)) {
      const runtimes = overlay === 'refused' ? 'runtimes refuse the layer' : `for containers ${overlay}`;
      this.reporter.line(`layer ${layer}, ${path}: ${runtimes}; by the specification ${spec} (--semantics)`);
    }
    if (notes.length > MAX_NOTES) this.reporter.line(`and ${notes.length - MAX_NOTES} more of this kind`);
  }

  /** @param advice How building can be avoided. */
  #progress(advice: string): (progress: ImageProgress) => void {
    const announced = new Set<string>();
    return ({ phase, layer, digest, bytes, size }) => {
      const label = `layer ${layer} ${shortDigest(digest)}`;
      const key = `${phase} ${digest}`;
      if (!announced.has(key)) {
        announced.add(key);
        this.reporter.line(
          `${label} ${WHY_WHOLE[phase]}: reading all of it (${byteText(size)}), once${phase === 'build' ? advice : ''}`,
        );
      }
      if (bytes < size) this.reporter.progress(key, label, bytes, size);
      else this.reporter.endBar(key);
    };
  }

  async #close(): Promise<void> {
    await Promise.all(this.#opened.map(repository => repository.close()));
    await this.transport.close();
    await this.store?.close();
    // Images that were read have seen to it themselves.
    const grown = this.#built || this.#kept.some(({ wrote }) => wrote);
    if (grown && this.cacheDirectory !== undefined) {
      await pruneCache(this.cacheDirectory, DEFAULT_MAX_CACHE_BYTES);
    }
  }
}

const INDEX_ADVICE = "; 'index create' on the image avoids it";
const WHY_WHOLE: Readonly<Record<ImageProgress['phase'], string>> = {
  build: 'has no ztoc that can be used',
  unpack: 'can have no ztoc',
  download: 'comes from a server that ignores Range requests',
};

/** Enough of a digest to tell layers apart. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 'sha256:'.length + 12);
}

/** The digest of `--index`, or 'none'. What is neither, no registry can know. @throws UsageError */
function indexOption(invocation: Invocation): string | undefined {
  const index = optionText(invocation, 'index');
  if (index === undefined || index === 'none' || isDigest(index)) return index;
  throw new UsageError(`--index: expected a digest (sha256:…) or 'none', received '${index}'`);
}

/** How many layers there are is known when the image is opened: what that says of its option, said of ours. */
function layerRefusal(error: unknown, onlyLayer: number | undefined): unknown {
  if (onlyLayer === undefined || !(error instanceof SociError)) return error;
  const [, bounds] = /^expected an (integer of \d+ to \d+) for onlyLayer/.exec(error.message) ?? [];
  if (bounds === undefined) return error;
  return new UsageError(`--layer: expected an ${bounds}, received ${onlyLayer}`, { cause: error });
}
