/**
 * Which URLs a registry may send us to. A realm or a Location is chosen by the
 * other side: it must not turn us into a client of the cloud's metadata service
 * or of this machine's own ports, nor take credentials to plain HTTP.
 */
import { BlockList, isIP } from 'node:net';

import { SociError } from '../errors.js';
import { redactUrl } from '../source/redact.js';

const LINK_LOCAL = new BlockList();
LINK_LOCAL.addSubnet('169.254.0.0', 16, 'ipv4');
LINK_LOCAL.addSubnet('fe80::', 10, 'ipv6');
// Metadata services that are not link-local: AWS over IPv6, Alibaba, Oracle.
LINK_LOCAL.addAddress('fd00:ec2::254', 'ipv6');
LINK_LOCAL.addAddress('100.100.100.200', 'ipv4');
LINK_LOCAL.addSubnet('192.0.0.192', 32, 'ipv4');
const METADATA_NAMES = new Set(['metadata', 'metadata.google.internal', 'instance-data']);

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
const UNSPECIFIED = new Set(['0.0.0.0', '::']);

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

/** The host of a URL without brackets and without the root's dot. */
function bareHost(url: URL): string {
  return url.hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** An address that only ever answers to this machine or its hypervisor; IPv4 inside IPv6 is looked through. */
export function isLinkLocalAddress(address: string): boolean {
  return isIP(address) !== 0 && LINK_LOCAL.check(address, family(address));
}

export function isLoopbackHost(host: string): boolean {
  const bare = host
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
  if (bare === 'localhost' || bare.endsWith('.localhost') || UNSPECIFIED.has(bare)) {
    return true;
  }
  return isIP(bare) !== 0 && LOOPBACK.check(bare, family(bare));
}

/** Why a client of `home` must not be sent to `url`; undefined when it may. */
export function forbiddenHost(url: URL, home: URL): string | undefined {
  const host = bareHost(url);
  if (url.hostname !== home.hostname && (isLinkLocalAddress(host) || METADATA_NAMES.has(host))) {
    return 'a link-local or metadata address';
  }
  if (isLoopbackHost(host) && !isLoopbackHost(bareHost(home))) {
    return 'an address of this machine';
  }
  return undefined;
}

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
