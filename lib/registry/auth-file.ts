/**
 * The files in which docker (`config.json`) and podman (`auth.json`) keep
 * credentials: one format, with keys that are hosts, URLs, or (podman) a
 * registry with the beginning of a repository path.
 */
import { readFile } from 'node:fs/promises';

import { SociError } from '../errors.js';
import { askCredentialHelper } from './credential-helper.js';
import { type Credentials, DOCKER_HUB_SERVER, isDockerHub } from './credentials.js';

interface AuthEntry {
  readonly auth?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
  readonly identitytoken?: unknown;
  readonly registrytoken?: unknown;
}

export interface AuthFile {
  readonly path: string;
  readonly auths: ReadonlyMap<string, Credentials>;
  readonly helpers: ReadonlyMap<string, string>;
  readonly store: string | undefined;
}

const MAX_FILE = 16 * 1024 * 1024;

/** `https://index.docker.io/v1/` and `docker.io` become one key, `http://host:5000/v2/` becomes `host:5000`. */
function normalizeKey(key: string): string {
  const bare = key.replace(/^https?:\/\//, '').replace(/\/+$/, '');
  const [host = '', ...path] = bare.split('/');
  const name = isDockerHub(host) ? 'docker.io' : host;
  return /^v[12]$/.test(path[0] ?? '') || path.length === 0 ? name : [name, ...path].join('/');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function parseEntry(entry: AuthEntry): Credentials | undefined {
  const identityToken = text(entry.identitytoken);
  const registryToken = text(entry.registrytoken);
  let username = text(entry.username);
  let password = text(entry.password);
  const encoded = text(entry.auth);
  if (encoded !== undefined) {
    const decoded = Buffer.from(encoded, 'base64').toString('utf8').replace(/\0+$/, '');
    const colon = decoded.indexOf(':');
    if (colon > 0) {
      username = decoded.slice(0, colon);
      password = decoded.slice(colon + 1);
    }
  }
  if (
    identityToken === undefined &&
    registryToken === undefined &&
    (username === undefined || password === undefined)
  ) {
    return undefined;
  }
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(identityToken === undefined ? {} : { identityToken }),
    ...(registryToken === undefined ? {} : { registryToken }),
  };
}

function members(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

/** @throws SociError ERR_SOCI_CREDENTIALS when the file is not JSON; odd entries are passed over. */
export function parseAuthFile(json: string, path: string): AuthFile {
  let document: Record<string, unknown> | null;
  try {
    document = JSON.parse(json) as typeof document;
  } catch {
    // The parser's message would quote the file.
    throw new SociError('ERR_SOCI_CREDENTIALS', `${path}: not JSON`, { data: { path } });
  }
  const auths = new Map<string, Credentials>();
  for (const [key, entry] of members(document?.['auths'])) {
    const credentials =
      typeof entry === 'object' && entry !== null ? parseEntry(entry as AuthEntry) : undefined;
    // A plain host beats an URL of the same host, whichever comes first.
    if (credentials !== undefined && (!auths.has(normalizeKey(key)) || key === normalizeKey(key))) {
      auths.set(normalizeKey(key), credentials);
    }
  }
  const helpers = new Map<string, string>();
  for (const [key, helper] of members(document?.['credHelpers'])) {
    if (text(helper) !== undefined) {
      helpers.set(normalizeKey(key), helper as string);
    }
  }
  return { path, auths, helpers, store: text(document?.['credsStore']) };
}

/** Undefined when there is no such file. */
export async function readAuthFile(path: string, signal?: AbortSignal): Promise<AuthFile | undefined> {
  let json: string;
  try {
    json = await readFile(path, { encoding: 'utf8', signal });
  } catch (cause) {
    signal?.throwIfAborted();
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return undefined;
    }
    throw new SociError('ERR_SOCI_CREDENTIALS', `${path}: cannot be read (${code})`, {
      data: { path },
      cause,
    });
  }
  if (json.length > MAX_FILE) {
    throw new SociError('ERR_SOCI_CREDENTIALS', `${path}: larger than ${MAX_FILE} bytes`, { data: { path } });
  }
  return parseAuthFile(json, path);
}

/** `host/a/b`, `host/a`, `host`: podman's most specific key wins. */
function keysFor(registry: string, repository: string): string[] {
  const parts = [isDockerHub(registry) ? 'docker.io' : registry, ...repository.split('/')];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
}

/**
 * What `file` has for a repository: the registry's own helper, then the default store, then stored entries.
 *
 * @throws SociError ERR_SOCI_CREDENTIALS when a helper failed and no stored entry stands in for it.
 */
export async function lookUpCredentials(
  file: AuthFile,
  registry: string,
  repository: string,
  signal?: AbortSignal,
): Promise<Credentials | undefined> {
  const keys = keysFor(registry, repository);
  const entry = keys.map(key => file.auths.get(key)).find(found => found !== undefined);
  const stored = entry && { ...entry, source: file.path };
  const host = keys.at(-1)!;
  const helper = keys.map(key => file.helpers.get(key)).find(found => found !== undefined) ?? file.store;
  if (helper === undefined) {
    return stored;
  }
  try {
    const server = host === 'docker.io' ? DOCKER_HUB_SERVER : host;
    const answer = await askCredentialHelper(helper, server, { signal });
    return answer === undefined
      ? stored
      : { ...answer, source: `docker-credential-${helper} (${file.path})` };
  } catch (error) {
    signal?.throwIfAborted();
    if (stored === undefined) {
      throw error;
    }
    return stored;
  }
}
