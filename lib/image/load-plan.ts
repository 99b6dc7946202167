/**
 * From a load order to what a prefetcher does: spans of layers, each once, in the
 * order in which the load order first needs them. What does not fit the image is
 * left out and said: a load order is advice, and one wrong line must not cost the
 * others.
 */
import { Pace } from '../async/pace.js';
import { SociError } from '../errors.js';
import type { Load, LoadOrder } from '../soci/load-order.js';
import type { Lane } from '../source/range-source.js';
import type { FileTree } from '../tree/file-tree.js';
import { lookUpFile } from '../tree/path-lookup.js';
import { NONE } from '../tree/path-walk.js';
import type { ImageLayerInfo } from './image-layer.js';

/** Spans of one layer that are neighbours. */
export interface LoadStep {
  /** Position of the layer in the image, the lowest being 0. */
  readonly layer: number;
  readonly layerDigest: string;
  readonly firstSpan: number;
  /** Exclusive. */
  readonly endSpan: number;
  /** Of the first load that needs them. */
  readonly urgency: number;
  /** How the reads are to be made: 'background' for the least urgent. */
  readonly lane: Exclude<Lane, 'demand'>;
  /** Of the layer as it is stored. */
  readonly bytes: number;
}

/**
 * A load that no step is for. 'missing': there is no such file; 'changed': it has another size, so that the load order
 * was made for another image; 'unpacked': its layer can have no spans, and is on this machine already.
 */
export interface OmittedLoad {
  readonly load: Load;
  readonly reason: 'missing' | 'changed' | 'unpacked';
}

export interface LoadPlan {
  readonly steps: readonly LoadStep[];
  readonly omitted: readonly OmittedLoad[];
}

/** The urgency that RFC 9218 §4.1 has for background work. */
export const BACKGROUND_URGENCY = 7;

/** What a plan has to know of a layer. */
type PlannedLayer = Pick<ImageLayerInfo, 'descriptor' | 'opened'>;

/**
 * @param layers Of the image, once they have been opened.
 * @throws the signal's reason
 */
export async function planLoads(
  tree: FileTree,
  layers: readonly PlannedLayer[],
  order: LoadOrder,
  signal: AbortSignal,
): Promise<LoadPlan> {
  const pace = new Pace();
  const plan = new Plan(tree, layers);
  for (const load of order.loads) {
    await pace.step(signal);
    plan.add(load);
  }
  const { steps, omitted } = plan;
  return { steps, omitted };
}

/**
 * The steps for whole files, in this order. Those of layers that have no spans are left out: they are on this machine.
 *
 * @param files Inodes of regular files.
 * @throws the signal's reason
 */
export async function planFiles(
  tree: FileTree,
  layers: readonly PlannedLayer[],
  files: Iterable<number>,
  { urgency, signal }: { readonly urgency: number; readonly signal: AbortSignal },
): Promise<readonly LoadStep[]> {
  const pace = new Pace();
  const plan = new Plan(tree, layers);
  for (const ino of files) {
    await pace.step(signal);
    plan.addFile(ino, { start: 0, end: tree.table.size(ino), urgency });
  }
  return plan.steps;
}

class Plan {
  readonly steps: LoadStep[] = [];
  readonly omitted: OmittedLoad[] = [];
  readonly #tree: FileTree;
  readonly #layers: readonly PlannedLayer[];
  /** Spans that have a step, by the digest of their layer. */
  readonly #planned = new Map<string, Set<number>>();

  constructor(tree: FileTree, layers: readonly PlannedLayer[]) {
    this.#tree = tree;
    this.#layers = layers;
  }

  add(load: Load): void {
    const ino = fileAt(this.#tree, load.path);
    const reason = this.#misfit(load, ino);
    if (reason !== undefined) this.omitted.push({ load, reason });
    else this.addFile(ino, load);
  }

  /** Why a file cannot be loaded so; undefined if it can. */
  #misfit({ size }: Load, ino: number): OmittedLoad['reason'] | undefined {
    if (ino === NONE) return 'missing';
    const { table } = this.#tree;
    if (table.size(ino) !== size) return 'changed';
    return this.#isUnpacked(ino) ? 'unpacked' : undefined;
  }

  #isUnpacked(ino: number): boolean {
    return this.#layers[this.#tree.table.layer(ino)]?.opened === 'unpacked';
  }

  addFile(ino: number, range: Pick<Load, 'start' | 'end' | 'urgency'>): void {
    if (this.#isUnpacked(ino)) return;
    const position = this.#tree.table.layer(ino);
    const { layer, entry } = this.#tree.file(ino);
    const { digest = '' } = this.#layers[position]?.descriptor ?? {};
    const planned = this.#planned.get(digest) ?? new Set();
    this.#planned.set(digest, planned);
    for (const { first, end } of layer.spans(entry, range)) {
      for (let span = first; span < end; span += 1) {
        if (planned.has(span)) continue;
        planned.add(span);
        const { compressedStart, compressedEnd } = layer.ztoc.span(span);
        const bytes = compressedEnd - compressedStart;
        this.#addSpan({ layer: position, layerDigest: digest, span, bytes, urgency: range.urgency });
      }
    }
  }

  #addSpan({ layer, layerDigest, span, bytes, urgency }: PlannedSpan): void {
    const last = this.steps.at(-1);
    if (last?.layerDigest === layerDigest && last.endSpan === span && last.urgency === urgency) {
      this.steps[this.steps.length - 1] = { ...last, endSpan: span + 1, bytes: last.bytes + bytes };
      return;
    }
    const lane = urgency >= BACKGROUND_URGENCY ? 'background' : 'prefetch';
    this.steps.push({ layer, layerDigest, firstSpan: span, endSpan: span + 1, urgency, lane, bytes });
  }
}

interface PlannedSpan extends Pick<LoadStep, 'layer' | 'layerDigest' | 'bytes' | 'urgency'> {
  readonly span: number;
}

/** Its inode, or NONE where no regular file is. */
function fileAt(tree: FileTree, path: string): number {
  try {
    return lookUpFile(tree, path, { followLast: true, syscall: 'open' }).ino;
  } catch (error) {
    if (error instanceof SociError) return NONE;
    throw error;
  }
}
