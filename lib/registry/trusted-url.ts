/**
 * Which URLs a registry may send us to. A realm or a Location is chosen by the
 * other side: it must not turn us into a client of the cloud's metadata service
 * or of this machine's own ports, nor take credentials to plain HTTP.
 */
import { SociError } from '../errors.js';
import { forbiddenHost } from '../source/forbidden-host.js';
import { redactUrl } from '../source/redact.js';

function refused(url: URL | string, role: string, reason: string): SociError {
  const shown = redactUrl(url);
  return new SociError('ERR_SOCI_REGISTRY_AUTH', `${role} ${shown} refused: ${reason}`, {
    data: { url: shown, role },
  });
}

/**
 * Checks the token server that `registry` named.
 *
 * @param registry Base URL of the registry that sent the challenge.
 * @throws SociError ERR_SOCI_REGISTRY_AUTH
 */
export function checkRealm(realm: string | undefined, registry: URL): URL {
  if (realm === undefined || !URL.canParse(realm)) {
    throw refused(registry, 'Bearer challenge of', 'its realm is not an absolute URL');
  }
  const url = new URL(realm);
  const role = 'Token server';
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw refused(url, role, `expected https, found ${url.protocol}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw refused(url, role, 'it names a user');
  }
  const forbidden = forbiddenHost(url, registry);
  if (forbidden !== undefined) {
    throw refused(url, role, `it is ${forbidden}`);
  }
  if (url.protocol === 'http:' && registry.protocol !== 'http:') {
    throw refused(url, role, `it is plain HTTP, but the registry ${registry.host} is https`);
  }
  url.hash = '';
  return url;
}

/**
 * Checks where a registry redirects to or wants an upload continued.
 *
 * @param from The URL that was asked.
 * @throws SociError ERR_SOCI_HTTP_REDIRECT
 */
export function checkLocation(location: string | undefined, from: URL): URL {
  const refuse = (reason: string): SociError => {
    const shown = redactUrl(from);
    return new SociError('ERR_SOCI_HTTP_REDIRECT', `${shown}: refused to follow its Location: ${reason}`, {
      data: { url: shown },
    });
  };
  if (location === undefined || !URL.canParse(location, from.href)) {
    throw refuse('it is missing or no URL');
  }
  const url = new URL(location, from);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw refuse(`its scheme is ${url.protocol}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw refuse('it contains credentials');
  }
  if (url.protocol === 'http:' && from.protocol === 'https:') {
    throw refuse(`it leads from https to plain HTTP (${redactUrl(url)})`);
  }
  const forbidden = forbiddenHost(url, from);
  if (forbidden !== undefined) {
    throw refuse(`it leads to ${forbidden} (${redactUrl(url)})`);
  }
  url.hash = '';
  return url;
}
