/**
 * Referrers: which manifests have a given one as their subject, by the API that
 * registries have for it; those without one are referrers-tag.ts's. Whatever is odd about the API's answer (a login page, a redirect elsewhere, a
 * web server's 404) means that there is no API, not that there are no referrers.
 */
import { SociError } from '../errors.js';
import type { HttpReply } from '../source/http/message.js';
import type { Descriptor } from './descriptor.js';
import type { AskedEndpoint } from './endpoint-patience.js';
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

/** Filters and drops duplicates. The order stays: the first listed index is the one that the reference uses. */
export function selectReferrers(all: Iterable<Descriptor>, artifactType: string | undefined): Descriptor[] {
  const selected = new Map<string, Descriptor>();
  for (const descriptor of all) {
    const isWanted = artifactType === undefined || descriptor.artifactType === artifactType;
    if (isWanted && !selected.has(descriptor.digest)) {
      selected.set(descriptor.digest, descriptor);
    }
  }
  return [...selected.values()];
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
  { endpoint, spent }: AskedEndpoint,
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
        spent,
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
