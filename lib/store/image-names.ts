/** Names of images in a store's index.json, each of which keeps an image from being evicted. */
import type { Descriptor } from '../registry/descriptor.js';
import { DirectoryFiles } from '../registry/layout-files.js';
import { LayoutIndex, refName } from '../registry/layout-index.js';
import { LayoutRepository } from '../registry/layout-repository.js';
import type { Store } from './store.js';

export interface NamedImage {
  readonly name: string;
  readonly digest: string;
}

/** @throws SociError ERR_SOCI_LAYOUT, ERR_SOCI_MANIFEST */
export async function listNames(store: Store, signal: AbortSignal | undefined): Promise<NamedImage[]> {
  const entries = await new LayoutIndex(filesOf(store)).read(signal);
  return (entries ?? []).flatMap(entry => {
    const name = refName(entry);
    return name === undefined ? [] : [{ name, digest: entry.digest }];
  });
}

/**
 * Takes a name away, and what is listed because it refers to its image. The blobs stay until their room is needed.
 *
 * @returns whether there was such a name
 * @throws SociError ERR_SOCI_LAYOUT, ERR_SOCI_STORE
 */
export async function removeName(
  store: Store,
  name: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let removed = false;
  await store.changeNames(signal, async () => {
    const index = new LayoutIndex(filesOf(store));
    const entries = (await index.read(signal)) ?? [];
    const named = entries.find(entry => refName(entry) === name);
    if (named === undefined) return;
    removed = true;
    await index.removeTag(name, signal);
    const hasOtherName = entries.some(entry => entry !== named && entry.digest === named.digest);
    if (hasOtherName) return;
    const repository = new LayoutRepository(filesOf(store));
    for (const subject of await manifestsOf(repository, named, signal)) {
      for (const { digest } of await repository.referrers(subject, { signal }))
        await index.remove(digest, signal);
    }
  });
  return removed;
}

/** The manifest, or those of an image index: what something may refer to. */
async function manifestsOf(
  repository: LayoutRepository,
  named: Descriptor,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const content = await repository.getManifest(named, { signal }).catch(() => undefined);
  const children = content?.manifest.kind === 'index' ? content.manifest.manifests : [];
  return [named, ...children].map(({ digest }) => digest).filter(digest => digest.startsWith('sha256:'));
}

function filesOf({ root }: Store): DirectoryFiles {
  return new DirectoryFiles(root, `the store ${root}`);
}
