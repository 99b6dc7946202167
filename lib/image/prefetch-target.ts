/**
 * What a prefetch is asked for (paths and patterns, a load order, the prefetch
 * artifacts of the image's index, or all of it) as spans of layers, in the order
 * in which they are to be fetched. What the image does not have is left out and said.
 */
import { Pace } from '../async/pace.js';
import { invalidArgument, SociError } from '../errors.js';
import type { Repository } from '../registry/repository.js';
import { fetchPrefetches } from '../soci/fetch-prefetches.js';
import type { LoadOrder } from '../soci/load-order.js';
import type { FileTree } from '../tree/file-tree.js';
import { KIND } from '../tree/node-kind.js';
import { encodeName, lookUp } from '../tree/path-lookup.js';
import { ROOT } from '../tree/path-walk.js';
import { glob } from './glob.js';
import type { ImageLayer } from './image-layer.js';
import { BACKGROUND_URGENCY, type LoadStep, type OmittedLoad, planFiles, planLoads } from './load-plan.js';

/**
 * What to fetch: files, directories with all that is below them, and patterns as `Image.glob` has them; what a load
 * order says; what the prefetch artifacts of the image's SOCI index say; all layers.
 */
export type PrefetchTarget = readonly string[] | LoadOrder | 'soci' | 'all';

/** A path, a pattern or a load that nothing is fetched for. */
export interface OmittedPath {
  readonly path: string;
  readonly reason: OmittedLoad['reason'];
}

/** Neighbouring spans of a layer. */
export type WantedStep = Omit<LoadStep, 'layer' | 'bytes'>;

export interface WantedSpans {
  readonly steps: readonly WantedStep[];
  readonly omitted: readonly OmittedPath[];
  /** Prefetch artifacts that cannot be used. */
  readonly unusable: readonly UnusableArtifact[];
}

export interface UnusableArtifact {
  readonly layerDigest: string;
  readonly error: SociError;
}

export interface PrefetchedImage {
  readonly tree: FileTree;
  /** The lowest first, opened; one that is there twice is the same object twice. */
  readonly layers: readonly ImageLayer[];
  readonly repository: Repository;
}

/** Of what was named: a load order says itself how urgent each of its loads is. */
const NAMED_URGENCY = 3;

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT for a pattern with too many alternatives; the signal's reason */
export async function wantedSpans(
  image: PrefetchedImage,
  target: PrefetchTarget,
  signal: AbortSignal,
): Promise<WantedSpans> {
  const { tree, layers } = image;
  const infos = layers.map(({ description, opened }) => {
    return { descriptor: description.descriptor, opened: opened?.origin };
  });
  if (target === 'all') return { steps: allOf(layers), omitted: [], unusable: [] };
  if (target === 'soci') return await namedByIndex(image, signal);
  if ('loads' in target) {
    const { steps, omitted } = await planLoads(tree, infos, target, signal);
    return { steps, omitted: omitted.map(({ load, reason }) => ({ path: load.path, reason })), unusable: [] };
  }
  const missing: string[] = [];
  const files = new Set<number>();
  for (const path of target) await addFiles(tree, path, { files, missing }, signal);
  const steps = await planFiles(tree, infos, files, { urgency: NAMED_URGENCY, signal });
  return { steps, omitted: missing.map(path => ({ path, reason: 'missing' })), unusable: [] };
}

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
export function checkTarget(target: unknown): asserts target is PrefetchTarget {
  if (target === 'all' || target === 'soci') return;
  if (Array.isArray(target) && target.every(path => typeof path === 'string')) return;
  if (typeof target === 'object' && Array.isArray((target as Partial<LoadOrder> | null)?.loads)) return;
  throw invalidArgument('what', "an array of paths, a load order, 'soci' or 'all'", target);
}

/** All spans of all layers: what somebody has read of, and most of that, is likeliest to be read again. */
function allOf(layers: readonly ImageLayer[]): WantedStep[] {
  const spanned = [...new Set(layers)].filter(({ opened }) => hasSpans(opened?.origin));
  const asked = new Map(spanned.map(layer => [layer, layer.stats.askedBytes]));
  return spanned
    .sort((a, b) => (asked.get(b) ?? 0) - (asked.get(a) ?? 0))
    .map(layer => {
      const layerDigest = layer.description.descriptor.digest;
      const endSpan = layer.opened?.entries.ztoc.spanCount ?? 0;
      return { layerDigest, firstSpan: 0, endSpan, urgency: BACKGROUND_URGENCY, lane: 'background' };
    });
}

function hasSpans(origin: string | undefined): boolean {
  return origin !== 'unpacked' && origin !== 'not-a-layer';
}

async function namedByIndex(
  { layers, repository }: PrefetchedImage,
  signal: AbortSignal,
): Promise<WantedSpans> {
  const steps: WantedStep[] = [];
  const unusable: UnusableArtifact[] = [];
  for (const layer of new Set(layers)) {
    const { opened, description } = layer;
    // They count the spans of the index's own ztoc, which another one has elsewhere.
    if (description.prefetch === undefined || opened?.origin !== 'index') continue;
    const { digest } = description.descriptor;
    const { spanCount } = opened.entries.ztoc;
    const { ranges, error } = await fetchPrefetches(repository, description.prefetch, spanCount, { signal });
    if (error !== undefined) unusable.push({ layerDigest: digest, error });
    for (const { first, last } of ranges) {
      const range = { firstSpan: first, endSpan: last + 1 };
      steps.push({ layerDigest: digest, ...range, urgency: NAMED_URGENCY, lane: 'prefetch' });
    }
  }
  return { steps, omitted: [], unusable };
}

interface FoundFiles {
  readonly files: Set<number>;
  readonly missing: string[];
}

/** What a path leads to, or a pattern matches: a name with the letters of a pattern in it is meant as it is. */
async function addFiles(
  tree: FileTree,
  path: string,
  { files, missing }: FoundFiles,
  signal: AbortSignal,
): Promise<void> {
  const pace = new Pace();
  const found = pathTo(tree, path);
  if (found !== undefined) {
    await addBelow(tree, found, files, signal);
    return;
  }
  let matched = false;
  for (const match of glob(tree.table, ROOT, [path])) {
    await pace.step(signal);
    const ino = match && pathTo(tree, encodeName(tree.table.path(match.node), 'buffer'));
    if (ino === undefined) continue;
    matched = true;
    await addBelow(tree, ino, files, signal);
  }
  if (!matched) missing.push(path);
}

/** The inode at a path, links followed; undefined where there is none. */
function pathTo(tree: FileTree, path: string | Uint8Array): number | undefined {
  try {
    return lookUp(tree, path, { followLast: true, syscall: 'open' }).ino;
  } catch (error) {
    if (error instanceof SociError) return undefined;
    throw error;
  }
}

/** A file, or all files below a directory in the order of a walk; links in there are not followed. */
async function addBelow(tree: FileTree, ino: number, files: Set<number>, signal: AbortSignal): Promise<void> {
  const { table } = tree;
  const pace = new Pace();
  const pending = [ino];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    await pace.step(signal);
    const kind = table.kindOf(at);
    if (kind === KIND.reg) files.add(at);
    if (kind !== KIND.dir) continue;
    const first = table.firstChild(at);
    for (let child = first + table.childCount(at) - 1; child >= first; child -= 1) {
      pending.push(table.inode(child));
    }
  }
}
