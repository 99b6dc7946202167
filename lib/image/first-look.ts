/**
 * The first question about a path of an image: answered as soon as the layers are
 * there on which the answer depends, the uppermost first, while all of them are
 * fetched at the same time. Those below are called off then. What cannot be answered
 * so is for the merged tree.
 */
import { setImmediate } from 'node:timers/promises';
import { AbortScope } from '../async/abort-scope.js';
import type { FileTree } from '../tree/file-tree.js';
import type { ImagePath } from '../tree/path-lookup.js';
import { type PathAnswer, PathQuestion } from '../tree/path-question.js';
import { type ImageLayer, LAYERS_AT_ONCE, type OpenedLayer } from './image-layer.js';

export interface FirstLook {
  readonly path: ImagePath;
  /** Follow a symbolic link in the last place too. */
  readonly followLast: boolean;
  /** As of the merged tree. */
  readonly maxNames: number;
  /** Gives that one. */
  readonly merge: (signal: AbortSignal) => Promise<FileTree>;
  /** Whether others have asked for that one. */
  readonly isMerging: () => boolean;
}

/**
 * A tree in which the path can be looked up (see PathQuestion for what else it knows), or the merged one.
 *
 * @param layers The lowest first.
 */
export async function firstLook(
  layers: readonly ImageLayer[],
  { path, followLast, maxNames, merge, isMerging }: FirstLook,
  signal: AbortSignal,
): Promise<FileTree> {
  const question = new PathQuestion(path, { followLast, layerCount: layers.length, maxNames });
  const operation = new AbortScope().begin(signal);
  try {
    const downwards = [...layers].reverse();
    const opening = openAll([...new Set(downwards)], operation.signal);
    // Then it is made as soon as this one answer: looking on would only keep it waiting.
    const isVain = (): boolean => isMerging() && layers.every(({ opened }) => opened !== undefined);
    for (const layer of downwards) {
      const { entries } = await (opening.get(layer) as Promise<OpenedLayer>);
      if (isVain()) break;
      const answer = await inSlices(question.add(entries), isVain, operation.signal);
      if (answer === 'merge') break;
      if (answer !== 'more') return answer;
    }
    return await merge(operation.signal);
  } finally {
    operation.abort(new Error('the layer does not matter to the question'));
    operation.end();
  }
}

/** Each is opened in its turn, whatever becomes of those before. */
function openAll(
  layers: readonly ImageLayer[],
  signal: AbortSignal,
): ReadonlyMap<ImageLayer, Promise<OpenedLayer>> {
  const opening = new Map<ImageLayer, Promise<OpenedLayer>>();
  const lanes: Promise<unknown>[] = [];
  for (const [place, layer] of layers.entries()) {
    const before = lanes[place % LAYERS_AT_ONCE];
    const opened = before === undefined ? layer.open(signal) : before.then(() => layer.open(signal));
    lanes[place % LAYERS_AT_ONCE] = opened.catch(() => {});
    opening.set(layer, opened);
  }
  return opening;
}

async function inSlices(
  steps: Generator<void, PathAnswer, undefined>,
  isVain: () => boolean,
  signal: AbortSignal,
): Promise<PathAnswer> {
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return step.value;
    await setImmediate();
    signal.throwIfAborted();
    if (isVain()) return 'merge';
  }
}
