/**
 * What every command on images shares: its options, the way to the registries
 * that its operands name with the right credentials, the cache, and what is said
 * on standard error meanwhile.
 */
import { readFile, stat } from 'node:fs/promises';
import { builtZtocsIn, DEFAULT_MAX_CACHE_BYTES, pruneCache } from '../files/cache-folder.js';
import {
  type CredentialProvider,
  FolderZtocCache,
  type HostOptions,
  type Image,
  type ImageProgress,
  keychain,
  type LayerNote,
  type OpenedLocation,
  type OpenImageOptions,
  openImage,
  openImageLocation,
  parseImageLocation,
  parsePlatform,
  ReadContext,
  type RegistryOptions,
  RegistryTransport,
  type Repository,
  type Semantics,
  SociError,
  type Store,
  type ZtocCache,
} from '../index.js';
import { isDigest } from '../registry/digest.js';
import { KeptContent } from '../registry/kept-content.js';
import { RegistryRepository } from '../registry/registry-repository.js';
import { StoreZtocCache } from '../soci/store-ztoc-cache.js';
import { storedRepository } from '../store/stored-repository.js';
import { byteText } from './byte-text.js';
import { defaultCacheDirectory, defaultCacheFault, makeCacheDirectory } from './cache-directory.js';
import {
  type Invocation,
  type OptionTable,
  optionList,
  optionNumber,
  optionText,
  UsageError,
} from './command.js';
import { counted } from './counted.js';
import { homeDirectory } from './home-directory.js';
import { refuseLocalPath } from './local-operand.js';
import { readPassword } from './password-input.js';
import { Reporter } from './reporter.js';
import { reportRequests } from './request-events.js';
import type { StandardOutput } from './standard-output.js';
import { storeOf } from './store-option.js';

/** Options of every command that takes an IMAGE. */
export const IMAGE_OPTIONS: OptionTable = {
  platform: {
    type: 'string',
    multiple: true,
    value: 'P',
    help: "os/arch[/variant]; default the host's, else the only one",
  },
  index: {
    type: 'string',
    value: 'DIGEST',
    help: "use this SOCI index; 'none' uses none (default: look for one)",
  },
  user: { type: 'string', value: 'NAME', help: 'log in as NAME; needs --password-stdin' },
  'password-stdin': { type: 'boolean', help: 'read the password from standard input' },
  'plain-http': { type: 'boolean', help: 'speak HTTP without TLS to the registries named' },
  tls: { type: 'boolean', help: 'speak TLS to the registries named, on this machine too' },
  ca: { type: 'string', value: 'FILE', help: 'trust the certificates in FILE (PEM) too' },
  'hosts-dir': {
    type: 'string',
    multiple: true,
    value: 'DIR',
    help: "containerd's certs.d: mirrors, certificates (not with the three above)",
  },
  'cache-dir': {
    type: 'string',
    value: 'DIR',
    help: 'for what is kept: ztocs, indexes, unpacked layers',
  },
  store: {
    type: 'string',
    value: 'DIR',
    help: 'keep all that is fetched of registries there, for any number of processes',
  },
  offline: { type: 'boolean', help: 'read what the store has, and send no request' },
  semantics: {
    type: 'string',
    value: 'S',
    help: "how layers are put together: 'overlay', as containers see them (default), or 'spec'",
  },
  timeout: {
    type: 'string',
    value: 'SECONDS',
    help: 'give up a request after so long without a byte (default 30)',
  },
  retries: {
    type: 'string',
    value: 'N',
    help: 'further attempts after a failure that may pass (default 5, within a minute of silence)',
  },
  json: { type: 'boolean', help: 'print the result as JSON' },
  quiet: { type: 'boolean', help: 'say nothing on standard error but errors' },
  debug: { type: 'boolean', help: 'tell every request and what it cost on standard error' },
};

/** The options of commands that deal with all platforms unless they are told which. */
export const ALL_PLATFORMS_OPTIONS: OptionTable = {
  ...IMAGE_OPTIONS,
  platform: {
    type: 'string',
    multiple: true,
    value: 'P',
    help: 'os/arch[/variant], may be repeated (default: all)',
  },
  'all-platforms': { type: 'boolean', help: 'all platforms, which is the default' },
};

/** Where things are kept between runs. */
interface KeptPlaces {
  readonly cacheDirectory: string | undefined;
  readonly store: Store | undefined;
}

/** Of an image's layers that can be read in two ways, and of its indexes that cannot be used, so many are spoken of. */
const MAX_NOTES = 5;

export class ImageSession {
  readonly invocation: Invocation;
  readonly reporter: Reporter;
  readonly transport: RegistryTransport;
  /** Undefined when there is none that can be used. */
  readonly cacheDirectory: string | undefined;
  readonly #opened: Repository[] = [];
  readonly #context = new ReadContext();
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
    this.transport = new RegistryTransport({ ...options, traffic: this.#context.traffic });
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
      const cache = await cacheDirectory(invocation, reporter);
      const store = await storeOf(invocation);
      await new ImageSession(invocation, reporter, options, { cacheDirectory: cache, store }).#run(body);
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
    const index = indexOption(this.invocation);
    await using opened = await openImage(image, {
      context: this.#context,
      transport: this.transport,
      platform,
      onlyLayer,
      index: index === 'none' ? false : index,
      semantics: this.#semantics,
      cacheDirectory: this.cacheDirectory,
      store: this.store,
      offline: this.#offline,
      signal: this.signal,
      onProgress: this.#progress(image.startsWith('docker-archive:') ? '' : INDEX_ADVICE),
    }).catch(error => {
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

  /** @throws UsageError */
  get #semantics(): Semantics | undefined {
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

/** The registry that an operand names, none for layouts. @throws UsageError, SociError ERR_SOCI_REFERENCE */
function registryOf(image: string): string[] {
  const at = image.indexOf('@');
  if (at >= 0 && !/^(oci|oci-archive|docker-archive):/.test(image) && !isDigest(image.slice(at + 1))) {
    // What people write there is a password as often as not, so it is not repeated.
    throw new UsageError(
      "IMAGE: expected a digest behind '@'; users and passwords go to --user and --password-stdin",
    );
  }
  if (/^sha256:[0-9a-f]{64}$/.test(image)) {
    throw new UsageError('IMAGE: expected a repository before the digest: registry/repo@sha256:…');
  }
  const location = parseImageLocation(image);
  return location.kind === 'registry' ? [location.reference.registry] : [];
}

async function registryOptions(
  invocation: Invocation,
  registries: readonly string[],
): Promise<RegistryOptions> {
  const hostsDirectories = optionList(invocation, 'hosts-dir');
  const ca = optionText(invocation, 'ca');
  const plainHttp = invocation.options['plain-http'] === true;
  const tls = invocation.options['tls'] === true;
  if (plainHttp && tls) throw new UsageError('expected either --plain-http or --tls');
  for (const directory of hostsDirectories) await requireDirectory(directory);
  const host: HostOptions = {
    ...(plainHttp || tls ? { plainHttp } : {}),
    ...(ca === undefined ? {} : { ca: await readCertificates(ca) }),
  };
  if (Object.keys(host).length > 0 && hostsDirectories.length > 0) {
    throw new UsageError('expected either --hosts-dir or --plain-http, --tls and --ca');
  }
  return {
    ...patience(invocation),
    env: invocation.env,
    hostsDirectories,
    hosts: Object.keys(host).length === 0 ? {} : Object.fromEntries(registries.map(name => [name, host])),
    credentials: await credentials(invocation, registries.at(-1)),
  };
}

/** One that containerd may have or not is passed over in silence; one that was named here is meant. */
async function requireDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) throw new UsageError(`--hosts-dir: ${path}: no such directory`);
}

/** @throws UsageError */
async function readCertificates(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--ca: cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** How long a registry may be silent, and how often it is asked. What is said here is all that limits it. */
function patience(invocation: Invocation): Pick<RegistryOptions, 'timeouts' | 'retry'> {
  const seconds = optionNumber(invocation, 'timeout', /^\d{1,6}(\.\d{1,3})?$/);
  const retries = optionNumber(invocation, 'retries', /^\d{1,4}$/);
  if (seconds === 0) throw new UsageError('--timeout: expected more than 0 seconds');
  const ms = seconds === undefined ? undefined : Math.round(seconds * 1000);
  const maxSilence = Number.MAX_SAFE_INTEGER;
  return {
    ...(ms === undefined ? {} : { timeouts: { connect: ms, headers: ms, bodyIdle: ms } }),
    ...(retries === undefined ? {} : { retry: { retries, maxSilence } }),
  };
}

/** The user's name and password go to one registry only; for all others docker's and podman's files hold. */
async function credentials(invocation: Invocation, account: string | undefined): Promise<CredentialProvider> {
  const username = optionText(invocation, 'user');
  const fromStandardInput = invocation.options['password-stdin'] === true;
  const { env } = invocation;
  const files = keychain({ env, home: homeDirectory(env) });
  if (username === undefined && !fromStandardInput) return files;
  if (username === undefined || !fromStandardInput) {
    throw new UsageError('--user and --password-stdin need each other');
  }
  if (username.includes(':')) {
    throw new UsageError('--user: expected a name alone; the password goes to --password-stdin');
  }
  const password = await readPassword(invocation);
  return request =>
    request.registry === account ? { username, password, source: '--user' } : files(request);
}

async function cacheDirectory(invocation: Invocation, reporter: Reporter): Promise<string | undefined> {
  const chosen = optionText(invocation, 'cache-dir');
  if (chosen !== undefined) {
    await makeCacheDirectory(chosen);
    return chosen;
  }
  const usual = defaultCacheDirectory(invocation.env);
  const fault = usual === undefined ? 'HOME names no directory' : await defaultCacheFault(usual);
  if (fault === undefined) return usual;
  reporter.line(`nothing is kept for the next time (--cache-dir): ${fault}`);
  return undefined;
}
