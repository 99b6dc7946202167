/**
 * One layer of an image that is indexed: chosen or skipped, its ztoc provided,
 * and everything on the way reported. Whatever is read of a layer is compared
 * with its digest.
 */
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { Repository } from '../registry/repository.js';
import type { RangeSource } from '../source/range-source.js';
import type { IndexEventHandler } from './index-event.js';
import { type LayerChoice, type Skip, skipByDescriptor } from './layer-choice.js';
import type { ListedZtoc, NoZtoc, ProvidedZtoc, ProviderEvents, ZtocProvider } from './ztoc-provider.js';

export interface LayerZtocOptions {
  readonly provider: ZtocProvider;
  readonly choice: LayerChoice;
  /** Take nothing from the cache. */
  readonly force: boolean;
  readonly onEvent: IndexEventHandler;
}

/**
 * @param repository Where the layer is read.
 * @throws SociError ERR_SOCI_DIGEST_MISMATCH when the layer's bytes are not what its descriptor names;
 *   ERR_SOCI_ZTOC_… for a ztoc of a named index that does not fit; whatever the repository fails with.
 */
export async function layerZtoc(
  repository: Pick<Repository, 'openBlob'>,
  layer: Descriptor,
  listed: ListedZtoc | undefined,
  options: LayerZtocOptions,
  signal: AbortSignal,
): Promise<ProvidedZtoc | Skip> {
  const { provider, choice, force, onEvent } = options;
  const events = eventsOf(layer, listed, onEvent);
  const outcome =
    skipByDescriptor(layer, choice) ??
    (listed?.trust === 'named' ? await provider.listed(layer, listed, events, signal) : undefined) ??
    (force ? undefined : await cached(provider, layer, listed, signal)) ??
    (await provider.listed(layer, listed, events, signal)) ??
    (await opened(repository, layer, signal, async source => {
      onEvent({ type: 'layer-started', layer });
      const found = await provider.fromLayer(source, layer, listed, events, signal);
      // Bytes damaged on their way look like an odd layer, so it is read to its end, where its digest is known.
      if ('reason' in found) for await (const _chunk of source.stream({ signal })) signal.throwIfAborted();
      return found;
    }));
  if ('reason' in outcome) {
    const { reason, message } = outcome;
    onEvent({ type: 'layer-skipped', layer, reason, message });
    return { reason, message };
  }
  const { ztoc, origin } = outcome;
  onEvent({ type: 'layer-done', layer, origin, ztocDigest: ztoc.digest, ztocSize: ztoc.bytes.length });
  return outcome;
}

/** What is kept here must not decide which ztoc a layer gets: beside one that is to be reused, only the same counts. */
async function cached(
  provider: ZtocProvider,
  layer: Descriptor,
  listed: ListedZtoc | undefined,
  signal: AbortSignal,
): Promise<ProvidedZtoc | undefined> {
  const found = await provider.cached(layer, signal);
  const other = listed?.trust === 'unproved' && found?.ztoc.digest !== listed.descriptor.digest;
  return other ? undefined : found;
}

/** Layers that name URLs of their own are not pushed with the image. */
async function opened(
  repository: Pick<Repository, 'openBlob'>,
  layer: Descriptor,
  signal: AbortSignal,
  work: (source: RangeSource) => Promise<ProvidedZtoc | NoZtoc>,
): Promise<ProvidedZtoc | Skip> {
  let source: RangeSource | undefined;
  try {
    source = await repository.openBlob(layer, { signal });
    return await work(source);
  } catch (error) {
    const foreign = layer.urls !== undefined && layer.urls.length > 0;
    const missing = error instanceof SociError && error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND';
    if (!foreign || !missing) throw error;
    return { reason: 'not-distributed', message: `not stored with the image: ${error.message}` };
  } finally {
    await source?.close();
  }
}

function eventsOf(
  layer: Descriptor,
  listed: ListedZtoc | undefined,
  onEvent: IndexEventHandler,
): ProviderEvents {
  return {
    onProgress: bytes => onEvent({ type: 'layer-progress', layer, bytes }),
    onRefused: error => {
      onEvent({ type: 'ztoc-refused', layer, ztocDigest: listed?.descriptor.digest ?? '', error });
    },
    onCacheFailed: error => onEvent({ type: 'cache-failed', layer, error }),
  };
}
