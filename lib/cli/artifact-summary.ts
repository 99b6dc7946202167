/**
 * What `inspect` says of what is no image: artifacts (SOCI indexes, attestations,
 * charts, modules), which have blobs in the place of layers, and indexes that
 * list such.
 */
import { isPureArtifact } from '../image/artifact.js';
import type { ManifestContent } from '../index.js';
import type { Descriptor } from '../registry/descriptor.js';
import { artifactTypeOf } from '../registry/manifest.js';
import { byteText } from './byte-text.js';
import { printable } from './printable.js';
import { tableText } from './table-text.js';

/** An index counts when nothing that it lists is an image, which its reader has found out. */
export function isArtifact({ manifest }: ManifestContent): boolean {
  return manifest.kind === 'index' || isPureArtifact(manifest);
}

export function artifactAsJson({ descriptor, manifest }: ManifestContent) {
  return {
    digest: descriptor.digest,
    mediaType: manifest.mediaType,
    artifactType: artifactTypeOf(manifest) ?? null,
    platforms: [],
    subject: manifest.subject ?? null,
    annotations: manifest.annotations,
    ...(manifest.kind === 'index'
      ? { manifests: manifest.manifests }
      : {
          config: manifest.config,
          layers: manifest.layers.map((layer, position) => ({ position, ...layer })),
        }),
  };
}

export function artifactText({ descriptor, manifest }: ManifestContent): string {
  const { subject } = manifest;
  const lines = [
    `artifact    ${descriptor.digest}`,
    `type        ${artifactTypeOf(manifest) ?? manifest.mediaType}`,
    `manifest    ${manifest.mediaType}`,
    ...(subject === undefined ? [] : [`subject     ${subject.digest}  ${subject.mediaType}`]),
    ...Object.entries(manifest.annotations ?? {}).map(
      ([name, value]) => `annotation  ${name}=${String(value)}`,
    ),
  ];
  const table =
    manifest.kind === 'index' ? blobTable('ENTRY', manifest.manifests) : blobTable('LAYER', manifest.layers);
  return `${lines.map(line => `${printable(line)}\n`).join('')}\n${table}`;
}

function blobTable(head: string, blobs: readonly Descriptor[]): string {
  const rows = blobs.map(({ digest, size, artifactType, mediaType }, position) => [
    String(position),
    digest,
    byteText(size),
    artifactType ?? mediaType,
  ]);
  return tableText([[head, 'DIGEST', 'SIZE', 'TYPE'], ...rows]);
}
