/**
 * Where a request goes and whether the caller's headers may go along. Every
 * header that a caller gives is taken for a credential: after a redirect to
 * another origin (RFC 6454: scheme, host, port) none is sent, and none comes
 * back later in the chain, even if it returns to the first origin.
 */
import { invalidArgument, invalidText } from '../../errors.js';
import { isHttp } from './location.js';

export interface HttpTarget {
  /** Without userinfo and fragment. */
  readonly url: URL;
  /** What the caller named: decides which hosts nobody may send us to. */
  readonly home: URL;
  /** The caller's headers and `authorization` may be sent here. */
  readonly trusted: boolean;
  /** Basic credentials made of the userinfo of the caller's URL. */
  readonly authorization: string | undefined;
}

/**
 * @param home who named `input`, if it was not the caller himself
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT for anything but an absolute http: or https: URL.
 */
export function parseTarget(input: string | URL, home?: URL): HttpTarget {
  const expected = 'an absolute http: or https: URL';
  // Not shown: it may contain a password.
  if (!URL.canParse(String(input))) throw invalidArgument('url', expected, input);
  const url = new URL(input);
  if (!isHttp(url)) throw invalidText('url', expected, url.protocol);
  const authorization = basicAuthorization(url);
  url.username = '';
  url.password = '';
  url.hash = '';
  return { url, home: home ?? url, trusted: true, authorization };
}

/** @param url that `from` sends us to, checked by location.ts */
export function redirected(from: HttpTarget, url: URL): HttpTarget {
  const trusted = from.trusted && url.origin === from.url.origin;
  return { url, home: from.home, trusted, authorization: trusted ? from.authorization : undefined };
}

function basicAuthorization(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined;
  try {
    return basic(decodeURIComponent(url.username), decodeURIComponent(url.password));
  } catch {
    throw invalidText('url', 'percent-encoded UTF-8', 'other bytes', ' in its credentials');
  }
}

/** The `Authorization` of RFC 7617, in UTF-8. */
export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}
