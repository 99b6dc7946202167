/**
 * From a reference to an image that can be read: platform, manifest, config and
 * SOCI index are fetched here, in as few round trips as they depend on each
 * other; ztocs and layers when something needs them.
 */
import { checkChoice, checkInteger, checkOptions } from '../arguments.js';
import { AbortScope } from '../async/abort-scope.js';
import { SociError } from '../errors.js';
import { worded } from '../files/atomic-file.js';
import { builtZtocsIn, DEFAULT_MAX_CACHE_BYTES, pruneCache, unpackedTarsIn } from '../files/cache-folder.js';
import { prepareFolder } from '../files/folders.js';
import { UnpackBudget } from '../plain/unpack-budget.js';
import type { AskedAhead } from '../registry/asked-ahead.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import type { ImageLocation } from '../registry/image-location.js';
import { isLayerType } from '../registry/media-types.js';
import { parsePlatform } from '../registry/platform.js';
import { type SelectionOptions, selectFor, selectForHost } from '../registry/platform-selection.js';
import type { Repository } from '../registry/repository.js';
import { findIndex, type IndexSearch } from '../soci/find-index.js';
import { FolderZtocCache } from '../soci/folder-ztoc-cache.js';
import { indexBeside } from '../soci/index-beside.js';
import { ztocBlob } from '../soci/load-ztoc.js';
import { MemoryZtocCache } from '../soci/memory-ztoc-cache.js';
import { SOCI_INDEX_TYPE } from '../soci/soci-index.js';
import { StoreZtocCache } from '../soci/store-ztoc-cache.js';
import type { ZtocCache } from '../soci/ztoc-cache.js';
import { defaultContext, type ReadContext } from '../span/read-context.js';
import type { Store } from '../store/store.js';
import { resolveLimits } from '../ztoc/limits.js';
import { Image } from './image.js';
import { diffIdsOf, type ImageConfig, loadImageConfig } from './image-config.js';
import { ImageLayer, type LayerDescription, missingZtoc } from './image-layer.js';
import { type ImageLimits, imageLimits, OPEN_IMAGE_NAMES, type OpenImageOptions } from './image-options.js';
import { type ImageInRepository, ImageOrigin, type OpenOrigin } from './image-origin.js';
import type { ZtocsAhead } from './image-parts.js';
import { openPresumed } from './presumed-image.js';

/** Of all the indexes that an image may refer to, a message tells about so many. */
const MAX_REASONS = 5;
/** Ztocs that are asked for before somebody needs them, those of the uppermost layers. */
const MAX_ZTOCS_AHEAD = 32;

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
  const { signal, missingZtoc: policy, semantics, ztocs, cacheDirectory, maxCacheBytes } = options;
  signal?.throwIfAborted();
  if (policy !== undefined) checkChoice('missingZtoc', policy, ['build', 'error', 'fail']);
  if (semantics !== undefined) checkChoice('semantics', semantics, ['overlay', 'spec']);
  if (ztocs !== undefined) checkChoice('ztocs', ztocs, ['when-needed', 'at-once']);
  imageLimits(options.limits);
  if (maxCacheBytes !== undefined) checkInteger('maxCacheBytes', maxCacheBytes, 0);
  if (cacheDirectory !== undefined) await prepareCache(cacheDirectory);
  const { traffic = (options.context ?? defaultContext).traffic } = options;
  return await openImageFrom(new ImageOrigin(location, { ...options, traffic }), options);
}

/**
 * @internal The same of an image whose repository is open: it is released with the image, or when this fails.
 *
 * @param options that were checked, and the origin opened with
 */
export async function openImageFrom(origin: ImageOrigin, options: OpenImageOptions): Promise<Image> {
  return await openPresumed(
    origin,
    (given, signal) => openWhatIsNamed(given, { ...options, signal }),
    options,
  );
}

async function openWhatIsNamed(origin: OpenOrigin, options: OpenImageOptions): Promise<Image> {
  const { missingZtoc: policy = 'build', semantics = 'overlay', context = defaultContext } = options;
  const { cacheDirectory, maxCacheBytes = DEFAULT_MAX_CACHE_BYTES } = options;
  const { repository, store } = origin;
  const layers: ImageLayer[] = [];
  const release = async (): Promise<void> => {
    await origin.release();
    const grown = origin.hasKept || layers.some(layer => GROWING.has(layer.opened?.origin));
    if (cacheDirectory !== undefined && grown) await pruneCache(cacheDirectory, maxCacheBytes);
  };
  try {
    options.signal?.throwIfAborted();
    const limits = imageLimits(options.limits);
    const content = await resolveManifest(origin, options);
    checkLayerCount(repository, content, limits);
    const { config, index } = await fetchDocuments(origin, content, options);
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
      cache: cacheOf(options, context),
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
    const ztocs = ztocsAhead(origin, descriptions, options);
    return new Image({
      name,
      content,
      config,
      index,
      layers: read,
      tree,
      repository,
      context,
      store,
      ztocs,
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

/** The wanted platform's, by default the host's, else the only one that there is. */
async function resolveManifest(
  { repository, reference, root: given, ahead, isRemote }: OpenOrigin,
  options: OpenImageOptions,
): Promise<PlatformManifest> {
  const { platform, index, indexOrder = ['v2', 'v1'], signal } = options;
  if (typeof index === 'string' && isRemote) ahead.manifest(index);
  const root = given ?? (await repository.getManifest(reference, { signal }));
  // The image's digest is known before its manifest, and so is whatever leads to its index.
  const onChosen: SelectionOptions['onChosen'] = image => {
    if (index !== undefined || !isRemote || root.manifest.kind !== 'index') return;
    const beside = indexOrder[0] === 'v2' ? indexBeside(root.manifest, image) : undefined;
    if (beside !== undefined) ahead.manifest(beside);
    else if (indexOrder.includes('v1')) ahead.referrers(image.digest, SOCI_INDEX_TYPE.v1);
  };
  if (platform === undefined) return await selectForHost(repository, root, { signal, onChosen });
  const wanted = typeof platform === 'string' ? parsePlatform(platform) : platform;
  return await selectFor(repository, root, wanted, { signal, onChosen });
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

/** Config and index at the same time; ztocs as soon as the index names them, if they are wanted at once. */
async function fetchDocuments(
  { repository, ahead }: OpenOrigin,
  content: PlatformManifest,
  { index, indexOrder, onlyLayer, ztocs, limits, signal }: OpenImageOptions,
): Promise<{ config: ImageConfig | undefined; index: IndexSearch | undefined }> {
  const scope = new AbortScope();
  const search = async (abort: AbortSignal): Promise<IndexSearch | undefined> => {
    if (index === false) return undefined;
    const found = await findIndex(repository, content, { index, order: indexOrder, signal: abort });
    // What led there, and to what was not needed.
    ahead.drop();
    if (ztocs !== 'at-once' || onlyLayer !== undefined) return found;
    const descriptions = describeLayers(repository, content, undefined, found);
    checkZtocSizes(repository, descriptions, imageLimits(limits));
    askForZtocs(ahead, descriptions, imageLimits(limits));
    return found;
  };
  return await scope.run(signal, async abort => {
    const tasks = [loadImageConfig(repository, content, abort), search(abort)] as const;
    try {
      const [config, found] = await Promise.all(tasks);
      return { config, index: found };
    } catch (error) {
      // The other one must not go on with a repository that is about to be closed.
      scope.close(error);
      await Promise.allSettled(tasks);
      throw error;
    }
  });
}

/** For the first question about files, unless it has been done. What is on this machine need not be asked for ahead. */
function ztocsAhead(
  { ahead, isRemote }: OpenOrigin,
  layers: readonly LayerDescription[],
  { ztocs, limits, onlyLayer }: OpenImageOptions,
): ZtocsAhead {
  let hasAsked = !isRemote || ztocs === 'at-once' || onlyLayer !== undefined;
  return {
    ask: () => {
      if (!hasAsked) askForZtocs(ahead, layers, imageLimits(limits));
      hasAsked = true;
    },
    callOff: () => ahead.drop(),
  };
}

/** The uppermost layers first: that is how paths are looked up. */
function askForZtocs(ahead: AskedAhead, layers: readonly LayerDescription[], limits: ImageLimits): void {
  const { maxZtocBytes } = resolveLimits(limits.ztoc);
  const wanted = layers.flatMap(({ ztoc, descriptor }) =>
    ztoc !== undefined && ztoc.size <= maxZtocBytes && isLayerType(descriptor.mediaType) ? ztoc : [],
  );
  for (const ztoc of wanted.reverse().slice(0, MAX_ZTOCS_AHEAD)) ahead.blob(ztocBlob(ztoc));
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
function cacheOf({ cache, cacheDirectory, store }: OpenImageOptions, context: ReadContext): ZtocCache {
  const keeping: Store | undefined = store ?? context.store;
  if (cache !== undefined) return cache;
  if (keeping !== undefined) return new StoreZtocCache(keeping);
  if (cacheDirectory !== undefined) return new FolderZtocCache(builtZtocsIn(cacheDirectory));
  return context.part(MemoryZtocCache);
}
