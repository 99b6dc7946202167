/**
 * Stores a load order beside its image: blobs first, the artifact's manifest
 * last, as for indexes. Others of the same workload stay unless the caller wants
 * them replaced; those go only when the new one is there.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import { type Repository, requireWritable } from '../registry/repository.js';
import { listLoadOrders } from './find-load-order.js';
import { IndexBlobs } from './index-blobs.js';
import type { IndexEventHandler } from './index-event.js';
import type { LoadOrder } from './load-order.js';
import { encodeLoadOrderArtifact } from './load-order-artifact.js';
import { pushOne } from './push-index.js';

export interface PushLoadOrderOptions {
  /** Delete the image's other load orders of this workload. Default false. */
  readonly replace?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: IndexEventHandler | undefined;
}

const PUSH_LOAD_ORDER_NAMES: OptionNames<PushLoadOrderOptions> = {
  replace: true,
  signal: true,
  onEvent: true,
};

export interface PushedLoadOrder {
  /** Of the artifact's manifest. */
  readonly descriptor: Descriptor;
  /** 'existed': this very one is there already. */
  readonly outcome: 'pushed' | 'existed';
  /** The image's other load orders of the workload: still there, or deleted with `replace`. */
  readonly others: readonly Descriptor[];
}

/**
 * @throws SociError ERR_SOCI_LOAD_ORDER_MISMATCH for a load order of another image; ERR_SOCI_LOAD_ORDER_FORMAT;
 *   ERR_SOCI_HTTP_STATUS where others were to be replaced and the registry deletes nothing, which leaves both; whatever
 *   the repository fails with
 */
export async function pushLoadOrder(
  repository: Repository,
  image: PlatformManifest,
  order: LoadOrder,
  options: PushLoadOrderOptions = {},
): Promise<PushedLoadOrder> {
  checkOptions('pushLoadOrder', options, PUSH_LOAD_ORDER_NAMES);
  const { replace = false, signal, onEvent } = options;
  requireWritable(repository);
  const { document, descriptor, bytes } = encodeLoadOrderArtifact(order, image.descriptor);
  const { found, faults } = await listLoadOrders(repository, image, { signal });
  const listed = [...found.map(each => ({ ...each, workload: each.order.workload })), ...faults];
  const present = listed.filter(each => each.workload === order.workload).map(each => each.descriptor);
  const blobs = new IndexBlobs(repository, onEvent);
  const event = { existing: 'allow', signal, onEvent } as const;
  const exists = present.some(({ digest }) => digest === descriptor.digest);
  if (!exists) {
    await pushOne(repository, { descriptor, image, bytes }, [], event, async () => {
      await blobs.sendRest([], signal);
      await blobs.send(document.descriptor, document.bytes, signal);
    });
  }
  const others = present.filter(({ digest }) => digest !== descriptor.digest);
  if (replace) {
    for (const { digest } of others) await repository.deleteManifest(digest, { signal });
  }
  await repository.commit({ signal });
  return { descriptor, outcome: exists ? 'existed' : 'pushed', others };
}
