/**
 * All of an image, from wherever it is to as many places as are wanted: its
 * documents first, then every blob that a place lacks, once and in parallel, and
 * each place made valid when all of it is there. What is interrupted goes on where
 * it was.
 */
import { checkOptions, chosenOptions, type OptionNames } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import { type ImageInRepository, ImageOrigin } from '../image/image-origin.js';
import { type ImageLocation, parseImageLocation } from '../registry/image-location.js';
import { type Platform, parsePlatform } from '../registry/platform.js';
import { formatReference } from '../registry/reference.js';
import { REGISTRY_NAMES, type RegistryOptions, type RegistryTransport } from '../registry/transport.js';
import { StoreZtocCache } from '../soci/store-ztoc-cache.js';
import { ABORTABLE_NAMES, type AbortableOptions } from '../source/range-source.js';
import { defaultContext, type ReadContext } from '../span/read-context.js';
import type { Pin, Store } from '../store/store.js';
import { KeptDocuments } from './kept-documents.js';
import { LayerZtocs } from './layer-ztocs.js';
import { OpenedTargets } from './opened-targets.js';
import { type PullContent, pullContent } from './pull-content.js';
import { type PullLimitOptions, pullLimits } from './pull-limits.js';
import { type PulledBlobReport, type PullProgress, type PullResult, rateOf } from './pull-report.js';
import { PullRun } from './pull-run.js';
import type { PullTarget } from './pull-target.js';
import { parsePullTarget } from './target-location.js';
import type { TreeOptions } from './tree-target.js';

export interface PullOptions extends AbortableOptions, RegistryOptions {
  /**
   * `rootfs:DIR`, `overlay:DIR`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME[:TAG]]`, or
   * targets of one's own.
   */
  readonly targets: readonly (string | PullTarget)[];
  /** E.g. 'linux/arm64'; 'all': the image index with all that it lists. Default: the host's, else the only one. */
  readonly platform?: Platform | string | undefined;
  /** Also what refers to the image, and to that: SOCI indexes with their ztocs, signatures, …. Default false. */
  readonly referrers?: boolean | undefined;
  /**
   * Where blobs are kept on their way, and taken from. Default: that of `context`, else a folder beside the first
   * target, which is removed in the end.
   */
  readonly store?: Store | undefined;
  /** Take what the store has and send no request; what is missing is ERR_SOCI_OFFLINE. Default false. */
  readonly offline?: boolean | undefined;
  readonly limits?: PullLimitOptions | undefined;
  /**
   * Digest of the SOCI index by whose ztocs layers are decoded for `rootfs:` and `overlay:`; false: by none. Default: one
   * is looked for.
   */
  readonly index?: string | false | undefined;
  /** How `rootfs:` and `overlay:` write files. */
  readonly unpack?: TreeOptions | undefined;
  /** Have all of it on the disk before it has its name, so that a power cut costs nothing. Default false. */
  readonly sync?: boolean | undefined;
  /** Whose downloads `limits.maxConcurrentDownloads` bounds together. Default: the default context. */
  readonly context?: ReadContext | undefined;
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  /** Connections shared with others and not closed here; the registry options go unused then. */
  readonly transport?: RegistryTransport | undefined;
}

const MAX_PINS = 500;

const PULL_NAMES: OptionNames<PullOptions> = {
  ...ABORTABLE_NAMES,
  ...REGISTRY_NAMES,
  targets: true,
  platform: true,
  referrers: true,
  store: true,
  offline: true,
  limits: true,
  index: true,
  unpack: true,
  sync: true,
  context: true,
  onProgress: true,
  transport: true,
};

/**
 * @throws SociError ERR_SOCI_REFERENCE, ERR_SOCI_PLATFORM; ERR_SOCI_OUTPUT when a target is something else, or cannot
 *   be written; ERR_SOCI_STORE when the store cannot; ERR_SOCI_DIGEST_MISMATCH for a blob that is another; whatever the
 *   registry fails with. What was fetched by then is not fetched again, and no target has anything half under its name.
 */
export async function pullImage(
  image: string | ImageLocation | ImageInRepository,
  options: PullOptions,
): Promise<PullResult> {
  checkOptions('pullImage', options, PULL_NAMES);
  const limits = pullLimits(options.limits);
  const targets = targetsOf(options.targets, options.unpack);
  const { platform, context = defaultContext, transport, offline } = options;
  const wanted = typeof platform === 'string' && platform !== 'all' ? parsePlatform(platform) : platform;
  const signal = options.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const started = performance.now();
  const { traffic = context.traffic, store = context.store } = options;
  const registry = { ...chosenOptions<RegistryOptions>(options, REGISTRY_NAMES), traffic };
  const origin = new ImageOrigin(image, { ...registry, transport, context, store, offline });
  const opened = new OpenedTargets(targets, { sync: options.sync === true, limits, context, signal });
  try {
    await opened.check();
    const asked = await origin.repository.getManifest(origin.reference, { signal });
    await opened.open();
    const documents = new KeptDocuments(opened.destinations.flatMap(({ present }) => present ?? []));
    const repository = documents.over(origin.repository);
    const content = await pullContent(repository, asked, {
      platform: wanted as Platform | 'all' | undefined,
      referrers: options.referrers === true,
      name: nameOf(image),
      signal,
    });
    const pin = await pinned(origin.store, content);
    let blobs: PulledBlobReport[];
    try {
      const { staging, destinations } = opened;
      const { isRemote } = origin;
      const { store: keeping } = origin;
      const cache = keeping && new StoreZtocCache(keeping);
      const ztocs = new LayerZtocs(repository, content.images[0], { cache, index: options.index });
      const { onProgress } = options;
      const parts = { repository, isRemote, store: origin.store, staging, documents, destinations, ztocs };
      blobs = await new PullRun(content, { ...parts, limits, context, onProgress }).run(signal);
      await opened.commit();
      await ztocs.kept();
    } finally {
      await pin?.release();
    }
    return resultOf(content, opened.outcomes, blobs, Math.round(performance.now() - started));
  } finally {
    await opened.close();
    await origin.release();
  }
}

function targetsOf(
  given: readonly (string | PullTarget)[],
  tree: TreeOptions | undefined,
): readonly PullTarget[] {
  if (!Array.isArray(given) || given.length === 0)
    throw invalidArgument('targets', 'a target at least', given);
  const targets = given.map(target => (typeof target === 'string' ? parsePullTarget(target, tree) : target));
  const paths = targets.map(({ path }) => path);
  if (new Set(paths).size < paths.length)
    throw invalidArgument('targets', 'as many places as targets', given);
  return targets;
}

/** The full name in a registry, of an image that has a tag. */
function nameOf(image: string | ImageLocation | ImageInRepository): string | undefined {
  if (typeof image === 'object' && 'repository' in image) return undefined;
  const location = typeof image === 'string' ? parseImageLocation(image) : image;
  if (location.kind !== 'registry') return undefined;
  const { digest, tag, ...place } = location.reference;
  if (tag === undefined && digest !== undefined) return undefined;
  return formatReference({ ...place, tag: tag ?? 'latest' });
}

/** What is fetched must not go again before the targets have it: each costs a descriptor, so of many the first ones. */
async function pinned(store: Store | undefined, { blobs }: PullContent): Promise<Pin | undefined> {
  return await store?.pin(blobs.slice(0, MAX_PINS).map(({ digest }) => digest));
}

function resultOf(
  { root, blobs, absent }: PullContent,
  targets: PullResult['targets'],
  reports: readonly PulledBlobReport[],
  ms: number,
): PullResult {
  const fetched = reports.reduce((sum, report) => sum + report.fetched, 0);
  const { digest, mediaType } = root.descriptor;
  const size = blobs.reduce((sum, blob) => sum + blob.size, 0);
  return {
    digest,
    mediaType,
    targets,
    blobs: reports,
    absent,
    size,
    fetched,
    ms,
    bytesPerSecond: rateOf(fetched, ms),
  };
}
