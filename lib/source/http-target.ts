/**
 * Where a request goes and whether the caller's headers may go along. Every
 * header that a caller gives is taken for a credential: after a redirect to
 * another origin (RFC 6454: scheme, host, port) none is sent, and none comes
 * back later in the chain, even if it returns to the first origin.
 */
import { SociError } from '../errors.js';
import { forbiddenHost } from './forbidden-host.js';
import { redactUrl } from './redact.js';

export interface HttpTarget {
  /** Without userinfo and fragment. */
  readonly url: URL;
  /** The caller's headers and `authorization` may be sent here. */
  readonly trusted: boolean;
  /** Basic credentials made of the userinfo of the caller's URL. */
  readonly authorization: string | undefined;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT for anything but an absolute http: or https: URL. */
export function parseTarget(input: string | URL): HttpTarget {
  let url: URL;
  try {
    url = new URL(input);
  } catch {
    throw new SociError('ERR_SOCI_INVALID_ARGUMENT', 'expected an absolute http: or https: URL');
  }
  if (!isHttp(url)) {
    throw new SociError('ERR_SOCI_INVALID_ARGUMENT', `expected an http: or https: URL, got ${url.protocol}`, {
      data: { protocol: url.protocol },
    });
  }
  const authorization = basicAuthorization(url);
  url.username = '';
  url.password = '';
  url.hash = '';
  return { url, trusted: true, authorization };
}

/** @throws SociError ERR_SOCI_HTTP_REDIRECT when `location` may not be followed. */
export function followRedirect(from: HttpTarget, location: string | undefined): HttpTarget {
  if (location === undefined) throw redirectError(from, 'the reply has no Location');
  let url: URL;
  try {
    url = new URL(location, from.url);
  } catch {
    throw redirectError(from, 'its Location is not a URL');
  }
  if (!isHttp(url)) throw redirectError(from, `its Location has the scheme ${url.protocol}`);
  if (from.url.protocol === 'https:' && url.protocol === 'http:') {
    throw redirectError(from, `it leads from https to plain http (${redactUrl(url)})`);
  }
  if (url.username !== '' || url.password !== '') {
    throw redirectError(from, `its Location contains credentials (${redactUrl(url)})`);
  }
  const forbidden = forbiddenHost(url, from.url);
  if (forbidden !== undefined) throw redirectError(from, `it leads to ${forbidden} (${redactUrl(url)})`);
  url.hash = '';
  const trusted = from.trusted && url.origin === from.url.origin;
  return { url, trusted, authorization: trusted ? from.authorization : undefined };
}

export function redirectError(from: HttpTarget, why: string): SociError {
  const shown = redactUrl(from.url);
  return new SociError('ERR_SOCI_HTTP_REDIRECT', `GET ${shown}: refused to follow the redirect: ${why}`, {
    data: { url: shown },
  });
}

function isHttp(url: URL): boolean {
  return url.protocol === 'http:' || url.protocol === 'https:';
}

function basicAuthorization(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined;
  try {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
  } catch {
    throw new SociError(
      'ERR_SOCI_INVALID_ARGUMENT',
      'the credentials in the URL are not percent-encoded UTF-8',
    );
  }
}
