/**
 * Which blobs the store's index.json names, directly or through manifests: those
 * are to stay. The file is the image layout's, so that whatever writes there a
 * name (our own command, skopeo, crane) keeps an image.
 */
import { join } from 'node:path';
import type { Descriptor } from '../registry/descriptor.js';
import { isDigest } from '../registry/digest.js';
import { MAX_MANIFEST_BYTES, parseManifest } from '../registry/manifest.js';
import { isIndexType, isManifestType, OCI_INDEX, OCI_MANIFEST } from '../registry/media-types.js';
import type { StoreRoom } from './store-room.js';
import { readFile, readWhole } from './whole-content.js';

/** Documents of one store that are looked into: an index.json that names more pins no more. */
const MAX_DOCUMENTS = 10_000;

/** The digests; nothing where there is no index.json, or none that can be read. */
export async function namedBlobs(room: StoreRoom): Promise<ReadonlySet<string>> {
  const named = new Set<string>();
  const bytes = await readFile(room.disk, join(room.root, 'index.json'), MAX_MANIFEST_BYTES);
  const documents = bytes === undefined ? [] : parsed(bytes, OCI_INDEX);
  let looked = 0;
  while (documents.length > 0) {
    const { digest, mediaType } = documents.pop()!;
    if (named.has(digest)) continue;
    named.add(digest);
    const isDocument = isIndexType(mediaType) || isManifestType(mediaType);
    if (!isDocument || ++looked > MAX_DOCUMENTS) continue;
    const document = await readWhole(room, digest, MAX_MANIFEST_BYTES);
    if (document !== undefined) documents.push(...parsed(document, mediaType));
  }
  return named;
}

/** What a document names; nothing if it is none. */
function parsed(bytes: Uint8Array, mediaType: string): Descriptor[] {
  try {
    const manifest = parseManifest(bytes, mediaType, 'index.json');
    if (manifest.kind === 'index') return [...manifest.manifests];
    // A SOCI index (v2) is named by an annotation of the image that it is part of.
    const annotated = Object.values(manifest.annotations ?? {}).filter(isDigest);
    return [
      manifest.config,
      ...manifest.layers,
      ...annotated.map(digest => ({ digest, mediaType: OCI_MANIFEST, size: 0 })),
    ];
  } catch {
    return [];
  }
}
