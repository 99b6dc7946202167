/**
 * Which URLs another party may send us to: the Location of a redirect or of an
 * upload, the realm of a challenge. They are chosen by the other side: they must
 * not turn us into a client of the cloud's metadata service or of this machine's
 * own ports, nor take anything from https to plain http.
 */
import type { SociError } from '../../errors.js';
import { forbiddenHost } from './forbidden-host.js';
import { httpError, type RequestLine } from './http-error.js';
import type { HttpReply } from './message.js';
import { redactUrl } from './redact.js';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

/** What about `url` forbids going there on the word of `from`, as in "it …"; undefined when nothing does. */
export function refusalOf(url: URL, from: URL): string | undefined {
  if (!isHttp(url)) return `has the scheme ${url.protocol}`;
  if (url.username !== '' || url.password !== '') return 'contains credentials';
  if (url.protocol === 'http:' && from.protocol === 'https:') return 'leads from https to plain http';
  const forbidden = forbiddenHost(url, from);
  return forbidden === undefined ? undefined : `leads to ${forbidden}`;
}

/**
 * Where a reply sends us.
 *
 * @throws SociError ERR_SOCI_HTTP_REDIRECT when it may not.
 */
export function locationOf(reply: Pick<HttpReply, 'method' | 'url' | 'header'>): URL {
  const location = reply.header('location');
  if (location === undefined) throw redirectError(reply, 'the reply has no Location');
  if (!URL.canParse(location, reply.url.href)) throw redirectError(reply, 'its Location is not a URL');
  const url = new URL(location, reply.url);
  const refusal = refusalOf(url, reply.url);
  if (refusal !== undefined) {
    const shown = isHttp(url) ? ` (${redactUrl(url)})` : '';
    throw redirectError(reply, `its Location ${refusal}${shown}`);
  }
  url.hash = '';
  return url;
}

export function redirectError(at: RequestLine, why: string): SociError {
  return httpError('ERR_SOCI_HTTP_REDIRECT', at, `refused to go on: ${why}`);
}

export function isHttp(url: URL): boolean {
  return url.protocol === 'http:' || url.protocol === 'https:';
}
