/** The tags of a repository, page by page. */
import { SociError } from '../errors.js';
import type { RequestLine } from '../source/http/http-error.js';
import type { AskedEndpoint } from './endpoint-patience.js';
import { nextPage } from './link-header.js';
import { isTag } from './reference.js';
import { protocolError } from './registry-error.js';
import { repositoryScope } from './scope.js';
import type { RegistryTransport } from './transport.js';

const MAX_PAGES = 1000;
const MAX_TAGS = 1_000_000;
const MAX_PAGE_BYTES = 8 * 1024 * 1024;

function parseTags(body: Uint8Array, at: RequestLine): string[] {
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw protocolError(at, 'the list of tags is not JSON');
  }
  // Go writes a nil slice as null.
  const tags = (answer as { readonly tags?: unknown } | null)?.tags ?? [];
  if (!Array.isArray(tags)) {
    throw protocolError(at, 'the list of tags has no array of tags');
  }
  // Their grammar also bounds their length: a million of them fit into memory.
  const odd = tags.find(tag => typeof tag !== 'string' || !isTag(tag));
  if (odd !== undefined) {
    const shown = JSON.stringify(odd).slice(0, 100);
    throw protocolError(at, `the list of tags has ${shown}, which is no tag`);
  }
  return tags as string[];
}

/**
 * All tags that `endpoint` lists for `repository`, sorted, each once.
 *
 * @throws SociError ERR_SOCI_REGISTRY_NOT_FOUND for an unknown repository, ERR_SOCI_LIMIT for an endless list.
 */
export async function listTags(
  transport: RegistryTransport,
  { endpoint, spent }: AskedEndpoint,
  repository: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const tags = new Set<string>();
  let url: string | URL | undefined = `${repository}/tags/list`;
  for (let page = 0; url !== undefined; page++) {
    if (page === MAX_PAGES || tags.size > MAX_TAGS) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${endpoint.root.host}/${repository}: more than ${MAX_TAGS} tags or ${MAX_PAGES} pages`,
        {
          data: { limit: MAX_TAGS, pages: MAX_PAGES },
        },
      );
    }
    const answer = await transport.send(endpoint, {
      method: 'GET',
      url,
      repository,
      scopes: [repositoryScope(repository, 'pull')],
      expect: [200],
      spent,
      signal,
    });
    for (const tag of parseTags(await answer.bytes(MAX_PAGE_BYTES), answer)) {
      tags.add(tag);
    }
    url = nextPage(answer);
  }
  return [...tags].sort();
}
