/**
 * Manifests, indexes and load orders as bytes, exactly as Go's encoding/json marshals the
 * types of the OCI image specification. A consumer of the reference parses a
 * fetched index, marshals it again and stores the result under the original
 * digest: an index with one byte of another form would be refused there.
 */
import type { Descriptor } from '../registry/descriptor.js';
import type { ImageIndex, ImageManifest } from '../registry/manifest.js';
import type { Platform } from '../registry/platform.js';

export type Json = string | number | JsonMembers | readonly Json[];
type JsonMembers = ReadonlyMap<string, Json>;

const HTML_AND_LINE_SEPARATORS = /[<>&\u2028\u2029]/g;

/** Go replaces what is no valid Unicode by U+FFFD and escapes what HTML or JavaScript could take for syntax. */
function encodeString(text: string): string {
  const wellFormed = Buffer.from(text, 'utf8').toString('utf8');
  return JSON.stringify(wellFormed).replace(
    HTML_AND_LINE_SEPARATORS,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function encode(value: Json): string {
  if (typeof value === 'string') return encodeString(value);
  if (typeof value === 'number') return String(value);
  if (value instanceof Map) {
    return `{${Array.from(value, ([key, member]) => `${encodeString(key)}:${encode(member)}`).join(',')}}`;
  }
  return `[${(value as readonly Json[]).map(encode).join(',')}]`;
}

/** Members in the given order; undefined ones are left out (Go's omitempty). */
export function members(entries: readonly (readonly [string, Json | undefined])[]): JsonMembers {
  return new Map(entries.filter((entry): entry is readonly [string, Json] => entry[1] !== undefined));
}

/** The bytes of a document of any other kind, without a trailing newline. */
export function encodeJson(value: Json): Uint8Array {
  return Buffer.from(encode(value));
}

/** Go sorts map keys by their UTF-8 bytes, where JavaScript's own order is that of UTF-16 units. */
function annotations(map: Readonly<Record<string, string>> | undefined): JsonMembers | undefined {
  const entries = Object.entries(map ?? {});
  if (entries.length === 0) return undefined;
  return new Map(entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function platformMembers(platform: Platform): JsonMembers {
  const features = platform['os.features'] ?? [];
  return members([
    ['architecture', platform.architecture],
    ['os', platform.os],
    ['os.version', nonEmpty(platform['os.version'])],
    ['os.features', features.length === 0 ? undefined : features],
    ['variant', nonEmpty(platform.variant)],
  ]);
}

function descriptorMembers(descriptor: Descriptor): JsonMembers {
  const urls = descriptor.urls ?? [];
  return members([
    ['mediaType', descriptor.mediaType],
    ['digest', descriptor.digest],
    ['size', descriptor.size],
    ['urls', urls.length === 0 ? undefined : urls],
    ['annotations', annotations(descriptor.annotations)],
    ['data', nonEmpty(descriptor.data)],
    ['platform', descriptor.platform === undefined ? undefined : platformMembers(descriptor.platform)],
    ['artifactType', nonEmpty(descriptor.artifactType)],
  ]);
}

function document(
  source: ImageManifest | ImageIndex,
  content: readonly (readonly [string, Json | undefined])[],
): Uint8Array {
  return Buffer.from(
    encode(
      members([
        ['schemaVersion', 2],
        ['mediaType', source.mediaType],
        ['artifactType', nonEmpty(source.artifactType)],
        ...content,
        ['subject', source.subject === undefined ? undefined : descriptorMembers(source.subject)],
        ['annotations', annotations(source.annotations)],
      ]),
    ),
  );
}

/** The bytes of an image manifest, without a trailing newline. */
export function encodeManifest(manifest: ImageManifest): Uint8Array {
  return document(manifest, [
    ['config', descriptorMembers(manifest.config)],
    ['layers', manifest.layers.map(descriptorMembers)],
  ]);
}

/** The bytes of an image index, without a trailing newline. */
export function encodeImageIndex(index: ImageIndex): Uint8Array {
  return document(index, [['manifests', index.manifests.map(descriptorMembers)]]);
}
