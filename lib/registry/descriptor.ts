/**
 * Descriptors: how one piece of content names another. Everything read from a
 * document passes through here, so that digests and sizes further up are known
 * to be well formed (not: known to be true, that is what verifying is for).
 */
import { SociError } from '../errors.js';
import { isDigest } from './digest.js';
import type { Platform } from './platform.js';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** The content itself in base64, if it was embedded. */
  readonly data?: string;
  /** Verbatim, as the document had it. */
  readonly platform?: Platform;
  readonly artifactType?: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

function malformed(where: string, expected: string, found: unknown): SociError {
  const shown = found === undefined ? 'nothing' : (JSON.stringify(found)?.slice(0, 120) ?? typeof found);
  return new SociError('ERR_SOCI_MANIFEST', `${where}: expected ${expected}, found ${shown}`, {
    data: { where },
  });
}

export function expectObject(value: unknown, where: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed(where, 'an object', value);
  }
  return value as JsonObject;
}

export function expectArray(value: unknown, where: string, limit: number): readonly unknown[] {
  if (!Array.isArray(value)) {
    throw malformed(where, 'an array', value);
  }
  if (value.length > limit) {
    throw new SociError(
      'ERR_SOCI_LIMIT',
      `${where}: ${value.length} entries, more than the limit of ${limit}`,
      {
        data: { where, limit, found: value.length },
      },
    );
  }
  return value;
}

/** An absent, null or empty string is undefined: Go's omitempty cannot tell them apart either. */
export function optionalString(value: unknown, where: string): string | undefined {
  if (value === undefined || value === null || value === '') {
    return undefined;
  }
  if (typeof value !== 'string') {
    throw malformed(where, 'a string', value);
  }
  return value;
}

export function parseAnnotations(
  value: unknown,
  where: string,
): Readonly<Record<string, string>> | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  // A null prototype: `__proto__` is an ordinary key of somebody's annotations.
  const annotations: Record<string, string> = Object.create(null);
  for (const [key, member] of Object.entries(expectObject(value, where))) {
    // Go decodes null into a map of strings as the empty string.
    const text = member ?? '';
    if (typeof text !== 'string') {
      throw malformed(`${where}[${JSON.stringify(key.slice(0, 100))}]`, 'a string', text);
    }
    annotations[key] = text;
  }
  return annotations;
}

function parsePlatformObject(value: unknown, where: string): Platform | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const platform = expectObject(value, where);
  for (const key of ['architecture', 'os', 'os.version', 'variant']) {
    optionalString(platform[key], `${where}.${key}`);
  }
  // Go decodes null as if the member were absent, and does not write it again.
  const stated = Object.fromEntries(Object.entries(platform).filter(([, member]) => member !== null));
  const features = stated['os.features'] ?? [];
  if (!expectArray(features, `${where}["os.features"]`, 1000).every(feature => typeof feature === 'string')) {
    throw malformed(`${where}["os.features"]`, 'strings', features);
  }
  // Absent members are empty strings in Go, and one odd entry must not hide its neighbours.
  return { ...stated, architecture: stated['architecture'] ?? '', os: stated['os'] ?? '' } as Platform;
}

/**
 * @param where Path of the value in its document, for messages.
 * @throws SociError ERR_SOCI_MANIFEST
 */
export function parseDescriptor(value: unknown, where: string): Descriptor {
  const object = expectObject(value, where);
  const mediaType = optionalString(object['mediaType'], `${where}.mediaType`);
  const digest = object['digest'];
  const size = object['size'];
  if (mediaType === undefined) {
    throw malformed(`${where}.mediaType`, 'a media type', object['mediaType']);
  }
  if (typeof digest !== 'string' || !isDigest(digest)) {
    throw malformed(`${where}.digest`, 'a digest', digest);
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw malformed(`${where}.size`, 'a number of bytes', size);
  }
  const urls = object['urls'] ?? undefined;
  const list = urls === undefined ? undefined : expectArray(urls, `${where}.urls`, 1000);
  if (list?.every(url => typeof url === 'string') === false) {
    throw malformed(`${where}.urls`, 'strings', urls);
  }
  const annotations = parseAnnotations(object['annotations'], `${where}.annotations`);
  const data = optionalString(object['data'], `${where}.data`);
  const platform = parsePlatformObject(object['platform'], `${where}.platform`);
  const artifactType = optionalString(object['artifactType'], `${where}.artifactType`);
  return {
    mediaType,
    digest,
    size,
    ...(list === undefined ? {} : { urls: list as readonly string[] }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(data === undefined ? {} : { data }),
    ...(platform === undefined ? {} : { platform }),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}
