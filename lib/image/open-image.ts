/**
 * From a reference to an image that can be read: platform, manifest, config and
 * SOCI index are fetched here, in as few round trips as they depend on each
 * other; ztocs and layers when something needs them.
 */
import { checkChoice, checkInteger, checkOptions, chosenOptions } from '../arguments.js';
import { AbortScope } from '../async/abort-scope.js';
import { invalidArgument, SociError } from '../errors.js';
import { worded } from '../files/atomic-file.js';
import { builtZtocsIn, DEFAULT_MAX_CACHE_BYTES, pruneCache, unpackedTarsIn } from '../files/cache-folder.js';
import { prepareFolder } from '../files/folders.js';
import { UnpackBudget } from '../plain/unpack-budget.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import { type ImageLocation, openImageLocation } from '../registry/image-location.js';
import { KeptContent } from '../registry/kept-content.js';
import { isLayerType } from '../registry/media-types.js';
import { parsePlatform } from '../registry/platform.js';
import { selectForHost, selectManifest } from '../registry/platform-selection.js';
import { RegistryRepository } from '../registry/registry-repository.js';
import type { Repository } from '../registry/repository.js';
import { REGISTRY_NAMES, RegistryTransport } from '../registry/transport.js';
import { findIndex, type IndexSearch } from '../soci/find-index.js';
import { FolderZtocCache } from '../soci/folder-ztoc-cache.js';
import { MemoryZtocCache } from '../soci/memory-ztoc-cache.js';
import { StoreZtocCache } from '../soci/store-ztoc-cache.js';
import type { ZtocCache } from '../soci/ztoc-cache.js';
import { defaultContext, type ReadContext } from '../span/read-context.js';
import type { Store } from '../store/store.js';
import { storedRepository } from '../store/stored-repository.js';
import { Image } from './image.js';
import { diffIdsOf, type ImageConfig, loadImageConfig } from './image-config.js';
import { ImageLayer, type LayerDescription, missingZtoc } from './image-layer.js';
import { type ImageLimits, imageLimits, OPEN_IMAGE_NAMES, type OpenImageOptions } from './image-options.js';

/** A repository that is open already, and a tag or digest in it; in a layout undefined is its only image. */
export interface ImageInRepository {
  readonly repository: Repository;
  readonly reference?: string | undefined;
}

/** Of all the indexes that an image may refer to, a message tells about so many. */
const MAX_REASONS = 5;

/**
 * Opens an image: `registry/repo:tag`, `…@sha256:…`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`,
 * `docker-archive:FILE[:NAME:TAG]`, or one in a repository that is open (and stays open when the image is closed).
 *
 * @throws SociError ERR_SOCI_REFERENCE, ERR_SOCI_PLATFORM, ERR_SOCI_MANIFEST, ERR_SOCI_LIMIT; for an index that was
 *   named also ERR_SOCI_INDEX_FORMAT and ERR_SOCI_INDEX_MISMATCH; ERR_SOCI_NO_ZTOC with `missingZtoc: 'fail'`;
 *   whatever the repository fails with
 */
export async function openImage(
  location: string | ImageLocation | ImageInRepository,
  options: OpenImageOptions = {},
): Promise<Image> {
  checkOptions('openImage', options, OPEN_IMAGE_NAMES);
  const { signal, missingZtoc: policy = 'build', semantics = 'overlay', context = defaultContext } = options;
  signal?.throwIfAborted();
  checkChoice('missingZtoc', policy, ['build', 'error', 'fail']);
  checkChoice('semantics', semantics, ['overlay', 'spec']);
  const limits = imageLimits(options.limits);
  const { cacheDirectory, maxCacheBytes = DEFAULT_MAX_CACHE_BYTES } = options;
  checkInteger('maxCacheBytes', maxCacheBytes, 0);
  const { store = context.store } = options;
  if (options.offline === true && store === undefined)
    throw invalidArgument('store', 'a store, since offline nothing else is read', store);
  if (cacheDirectory !== undefined) await prepareCache(cacheDirectory);
  const opened = openRepository(location, options);
  const { reference } = opened;
  // What is on this machine already is not kept a second time.
  const remote = opened.repository instanceof RegistryRepository;
  // What a store keeps is not kept in the cache folder, too.
  const folder = remote && store === undefined ? cacheDirectory : undefined;
  const kept = folder === undefined ? undefined : new KeptContent(folder);
  const connection = options.offline === true ? 'offline' : 'online';
  const repository =
    remote && store !== undefined
      ? storedRepository(opened.repository, store, connection)
      : (kept?.over(opened.repository) ?? opened.repository);
  const layers: ImageLayer[] = [];
  const release = async (): Promise<void> => {
    await opened.release();
    const grown = kept?.wrote === true || layers.some(layer => GROWING.has(layer.opened?.origin));
    if (cacheDirectory !== undefined && grown) await pruneCache(cacheDirectory, maxCacheBytes);
  };
  try {
    const content = await resolveManifest(repository, reference, options);
    checkLayerCount(repository, content, limits);
    const { config, index } = await fetchDocuments(repository, content, options);
    const descriptions = describeLayers(repository, content, config, index);
    checkZtocSizes(repository, descriptions, limits);
    const missing = descriptions.find(
      ({ ztoc, descriptor }) => ztoc === undefined && isLayerType(descriptor.mediaType),
    );
    if (policy === 'fail' && missing !== undefined) {
      throw missingZtoc(repository.name, missing, missing.reason);
    }
    const layerOptions = {
      repository,
      missingZtoc: policy,
      cache: cacheOf(options, store, context),
      folder: cacheDirectory === undefined ? undefined : unpackedTarsIn(cacheDirectory),
      limits,
      budget: new UnpackBudget(limits.maxUnpackedBytes),
      indexNamed: typeof options.index === 'string',
      verifyHeaders: options.verifyHeaders ?? true,
      verifyWindows: options.verifyWindows,
      context,
      onProgress: options.onProgress,
    };
    const byDigest = new Map<string, ImageLayer>();
    for (const description of descriptions) {
      const { digest } = description.descriptor;
      const layer = byDigest.get(digest) ?? new ImageLayer(description, layerOptions);
      byDigest.set(digest, layer);
      layers.push(layer);
    }
    const name = `${repository.name}@${content.descriptor.digest}`;
    const { onlyLayer } = options;
    if (onlyLayer !== undefined) checkInteger('onlyLayer', onlyLayer, 0, layers.length - 1);
    const read = onlyLayer === undefined ? layers : layers.slice(onlyLayer, onlyLayer + 1);
    const whiteouts = onlyLayer === undefined ? 'apply' : 'keep';
    const tree = { whiteouts, semantics, maxNames: limits.maxNames } as const;
    return new Image({
      name,
      content,
      config,
      index,
      layers: read,
      tree,
      repository,
      context,
      store: remote ? store : undefined,
      release,
    });
  } catch (error) {
    await release();
    throw error;
  }
}

/** How layers were opened that may have made the cache grow. */
const GROWING: ReadonlySet<string | undefined> = new Set(['built', 'unpacked']);
/** What is in the cache is taken on trust, so nobody else may write to it. */
const OWNER_ONLY = 0o700;

/** A folder that was asked for and cannot be used is said at once, not passed over. @throws SociError ERR_SOCI_OUTPUT */
async function prepareCache(folder: string): Promise<void> {
  const name = `the cache directory ${folder}`;
  await worded(folder, { code: 'ERR_SOCI_OUTPUT', name }, () => prepareFolder(folder, OWNER_ONLY));
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

/** The wanted platform's, by default the host's, else the only one that there is. */
async function resolveManifest(
  repository: Repository,
  reference: string | undefined,
  { platform, signal }: OpenImageOptions,
): Promise<PlatformManifest> {
  const root = await repository.getManifest(reference, { signal });
  if (platform === undefined) return await selectForHost(repository, root, { signal });
  const wanted = typeof platform === 'string' ? parsePlatform(platform) : platform;
  return await selectManifest(repository, root, wanted, { signal });
}

function checkLayerCount(
  repository: Repository,
  { manifest, descriptor }: PlatformManifest,
  limits: ImageLimits,
) {
  if (manifest.layers.length <= limits.maxLayers) return;
  throw new SociError(
    'ERR_SOCI_LIMIT',
    `${repository.name}@${descriptor.digest}: ${manifest.layers.length} layers, limits.maxLayers is ${limits.maxLayers}`,
    { data: { limit: 'maxLayers', expected: limits.maxLayers, found: manifest.layers.length } },
  );
}

function checkZtocSizes(
  repository: Repository,
  layers: readonly LayerDescription[],
  limits: ImageLimits,
): void {
  const sizes = new Map(layers.map(({ ztoc }) => [ztoc?.digest, ztoc?.size ?? 0]));
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  if (total <= limits.maxZtocBytes) return;
  throw new SociError(
    'ERR_SOCI_LIMIT',
    `${repository.name}: ${total} bytes of ztocs, limits.maxZtocBytes is ${limits.maxZtocBytes}`,
    { data: { limit: 'maxZtocBytes', expected: limits.maxZtocBytes, found: total } },
  );
}

/** Config and index at the same time. */
async function fetchDocuments(
  repository: Repository,
  content: PlatformManifest,
  { index, indexOrder, signal }: OpenImageOptions,
): Promise<{ config: ImageConfig | undefined; index: IndexSearch | undefined }> {
  const scope = new AbortScope();
  return await scope.run(signal, async abort => {
    const tasks = [
      loadImageConfig(repository, content, abort),
      index === false
        ? Promise.resolve(undefined)
        : findIndex(repository, content, { index, order: indexOrder, signal: abort }),
    ] as const;
    try {
      const [config, search] = await Promise.all(tasks);
      return { config, index: search };
    } catch (error) {
      // The other one must not go on with a repository that is about to be closed.
      scope.close(error);
      await Promise.allSettled(tasks);
      throw error;
    }
  });
}

function describeLayers(
  repository: Repository,
  { manifest }: PlatformManifest,
  config: ImageConfig | undefined,
  index: IndexSearch | undefined,
): LayerDescription[] {
  const why = whyNoZtoc(index);
  const where = `${repository.name}@${manifest.config.digest}`;
  const diffIds = config && diffIdsOf(config, manifest.layers, where);
  return manifest.layers.map((descriptor, position) => {
    const ztoc = index?.found?.ztocs[position];
    const prefetch = index?.found?.prefetches[position];
    const diffId = diffIds?.[position];
    const { mediaType } = descriptor;
    const skipped = isLayerType(mediaType) ? undefined : `${mediaType} is no file-system layer`;
    const reason = skipped ?? (ztoc === undefined ? why : undefined);
    return { position, descriptor, diffId, ztoc, prefetch, reason };
  });
}

function whyNoZtoc(index: IndexSearch | undefined): string {
  if (index === undefined) return 'no index was to be used';
  if (index.found !== undefined) return `the index ${index.found.descriptor.digest} has none for it`;
  const shown = index.attempts.slice(0, MAX_REASONS).map(({ message }) => message);
  const attempts = [...shown, ...(index.attempts.length > MAX_REASONS ? ['…'] : [])].join('; ');
  return `there is no SOCI index${attempts === '' ? '' : ` (${attempts})`}`;
}

/** Images without a cache of their own share that of their context. */
function cacheOf(
  { cache, cacheDirectory }: OpenImageOptions,
  store: Store | undefined,
  context: ReadContext,
): ZtocCache {
  if (cache !== undefined) return cache;
  if (store !== undefined) return new StoreZtocCache(store);
  if (cacheDirectory !== undefined) return new FolderZtocCache(builtZtocsIn(cacheDirectory));
  return context.part(MemoryZtocCache);
}
