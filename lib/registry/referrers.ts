/**
 * Referrers: which manifests have a given one as their subject. Registries have
 * an API for it or, by convention, an index under a tag made of the digest.
 * Whatever is odd about the API's answer (a login page, a redirect elsewhere, a
 * web server's 404) means that there is no API, not that there are no referrers.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { SociError } from '../errors.js';
import type { HttpReply } from '../source/http/message.js';
import type { Descriptor } from './descriptor.js';
import type { Endpoint } from './endpoint.js';
import { nextPage } from './link-header.js';
import { type ImageIndex, MAX_MANIFEST_BYTES, parseManifest } from './manifest.js';
import { essence, OCI_INDEX } from './media-types.js';
import { protocolError } from './registry-error.js';
import { repositoryScope } from './scope.js';
import type { RegistryTransport } from './transport.js';

const MAX_PAGES = 100;
const MAX_REFERRERS = 10_000;
/** Of all pages together: every descriptor is kept, with whatever annotations it has. */
const MAX_LIST_BYTES = 64 * 2 ** 20;
const TAG_WRITE_ATTEMPTS = 5;

/** The tag of the fallback schema: `sha256-<hex>`, each part cut to what a tag can hold. */
export function referrersTag(digest: string): string {
  const colon = digest.indexOf(':');
  const clean = (part: string, limit: number): string =>
    part.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, limit);
  return `${clean(digest.slice(0, colon), 32)}-${clean(digest.slice(colon + 1), 64)}`;
}

/** Filters, drops duplicates and sorts, so that the same set is always the same list. */
export function selectReferrers(all: Iterable<Descriptor>, artifactType: string | undefined): Descriptor[] {
  const selected = new Map<string, Descriptor>();
  for (const descriptor of all) {
    if (artifactType === undefined || descriptor.artifactType === artifactType) {
      selected.set(descriptor.digest, descriptor);
    }
  }
  return [...selected.values()].sort((a, b) => (a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0));
}

/** A status or a failure by which the API shows that it does not exist. */
function meansUnsupported(error: unknown): boolean {
  if (!(error instanceof SociError)) {
    return false;
  }
  const { status, errors } = error.data as {
    status?: unknown;
    errors?: readonly { readonly code: string }[];
  };
  if (errors?.some(({ code }) => code === 'NAME_UNKNOWN')) {
    return false;
  }
  return (
    (typeof status === 'number' &&
      ((status >= 300 && status < 400) || [400, 404, 405, 406, 410, 415, 501].includes(status))) ||
    error.code === 'ERR_SOCI_HTTP_REDIRECT'
  );
}

interface Page {
  readonly index: ImageIndex;
  readonly bytes: number;
}

async function readPage(answer: HttpReply): Promise<Page | undefined> {
  // Content-Type decides: a login page with status 200 is no answer to the question.
  if (essence(answer.header('content-type')) !== OCI_INDEX) {
    await answer.discard();
    return undefined;
  }
  const bytes = await answer.bytes(MAX_MANIFEST_BYTES);
  const index = parseManifest(bytes, OCI_INDEX, 'referrers');
  return index.kind === 'index' ? { index, bytes: bytes.length } : undefined;
}

/**
 * Asks the API.
 *
 * @returns undefined when the registry has none.
 * @throws SociError when it has one but could not be asked.
 */
export async function listReferrers(
  transport: RegistryTransport,
  endpoint: Endpoint,
  repository: string,
  digest: string,
  artifactType: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Descriptor[] | undefined> {
  const query = artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType })}`;
  let url: string | URL | undefined = `${repository}/referrers/${digest}${query}`;
  const found: Descriptor[] = [];
  let bytes = 0;
  for (let number = 0; url !== undefined; number++) {
    if (number === MAX_PAGES || found.length > MAX_REFERRERS || bytes > MAX_LIST_BYTES) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${endpoint.root.host}: more than ${MAX_REFERRERS} referrers of ${digest}, ${MAX_PAGES} pages or ${MAX_LIST_BYTES} bytes of them`,
        {
          data: { limit: MAX_REFERRERS, pages: MAX_PAGES, bytes: MAX_LIST_BYTES, digest },
        },
      );
    }
    let answer: HttpReply;
    try {
      answer = await transport.send(endpoint, {
        method: 'GET',
        url,
        repository,
        scopes: [repositoryScope(repository, 'pull')],
        headers: { accept: OCI_INDEX },
        expect: [200],
        // Redirects lead to login pages (Artifact Registry) or rate-limited web sites (GHCR).
        followRedirects: false,
        signal,
      });
    } catch (error) {
      if (number === 0 && meansUnsupported(error)) {
        return undefined;
      }
      throw error;
    }
    const page = await readPage(answer);
    if (page === undefined) {
      if (number === 0) {
        return undefined;
      }
      throw protocolError(answer, 'a later page of the referrers is no image index');
    }
    found.push(...page.index.manifests);
    bytes += page.bytes;
    const next = nextPage(answer);
    url = next?.href === answer.url.href ? undefined : next;
  }
  // `OCI-Filters-Applied` need not be looked at: filtering twice gives the same.
  return selectReferrers(found, artifactType);
}

/** Canonical JSON of an index of referrers, as the image specification orders its members. */
function encodeIndex(manifests: readonly Descriptor[]): Uint8Array {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}

export interface TagSchemaAccess {
  /** The index under the fallback tag; an empty list when there is none. */
  read(): Promise<readonly Descriptor[]>;
  write(index: Uint8Array): Promise<void>;
}

/**
 * Adds `referrer` to the index under the fallback tag. Registries have no
 * compare-and-swap, so two writers may overwrite each other: the result is read
 * back and the addition repeated until it is seen, waiting for others in between.
 */
export async function addReferrer(
  access: TagSchemaAccess,
  referrer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let attempt = 0; attempt < TAG_WRITE_ATTEMPTS; attempt++) {
    const known = await access.read();
    if (known.some(({ digest }) => digest === referrer.digest)) {
      return;
    }
    await access.write(encodeIndex([...known, referrer]));
    // Long enough for another writer that read before us to write after us; random, so that two do not alternate.
    await sleep(20 + Math.random() * 80 * (attempt + 1), undefined, { signal }).catch(() =>
      signal?.throwIfAborted(),
    );
  }
  if (!(await access.read()).some(({ digest }) => digest === referrer.digest)) {
    throw new SociError(
      'ERR_SOCI_REGISTRY_PROTOCOL',
      `${referrer.digest} was added to the referrers tag ${TAG_WRITE_ATTEMPTS} times but is not there: another writer keeps replacing it`,
      { data: { digest: referrer.digest } },
    );
  }
}

/** Takes a referrer out of the index under the fallback tag; what is not there is left as it is. */
export async function removeReferrer(access: TagSchemaAccess, digest: string): Promise<void> {
  const known = await access.read();
  const rest = known.filter(referrer => referrer.digest !== digest);
  if (rest.length < known.length) await access.write(encodeIndex(rest));
}
