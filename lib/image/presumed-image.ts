/**
 * While a registry is asked what a tag names now, the image that it named last time
 * is opened from the store, on the presumption that it names that one still. Nothing
 * is handed out before the answer, and no request is made that would not be made
 * after it; if the answer is another one, or none, all that was presumed is dropped.
 */
import { AbortScope } from '../async/abort-scope.js';
import type { AbortableOptions } from '../source/range-source.js';
import type { Image } from './image.js';
import type { ImageOrigin, OpenOrigin } from './image-origin.js';

/** Opens what an origin's reference names, or releases the origin and fails. */
export type OpenFrom = (origin: OpenOrigin, signal: AbortSignal | undefined) => Promise<Image>;

export async function openPresumed(
  origin: ImageOrigin,
  open: OpenFrom,
  { signal }: AbortableOptions,
): Promise<Image> {
  // First of all: the answer is what takes longest.
  if (origin.store !== undefined) origin.askForRoot();
  const presumption = await origin.presume();
  if (presumption === undefined || signal?.aborted) return await open(origin, signal);
  const operation = new AbortScope().begin(signal);
  let isAnswered = false;
  const opening = open(presumption.origin, operation.signal).then(image => {
    // While there is nothing else to do.
    if (!isAnswered) image.prepare();
    return image;
  });
  // It may fail before anybody knows whether it matters.
  opening.catch(() => {});
  const drop = async (reason: unknown): Promise<void> => {
    presumption.drop(reason);
    operation.abort(reason);
    await opening.then(
      image => image.close(),
      () => {},
    );
  };
  try {
    const { repository, reference } = origin;
    const root = await repository.getManifest(reference, { signal });
    isAnswered = true;
    if (root.descriptor.digest === presumption.digest) {
      presumption.confirm();
      return await opening;
    }
    await drop(new Error(`the tag names ${root.descriptor.digest} now`));
    return await open(origin.naming(root), signal);
  } catch (error) {
    await drop(error);
    await origin.release();
    throw error;
  } finally {
    operation.end();
  }
}
