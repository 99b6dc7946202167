/**
 * Hosts that nobody may send us to. Where a redirect leads is chosen by the
 * other side: it must not turn us into a client of the cloud's metadata service,
 * whose replies are credentials, or of this machine's own ports.
 */
import { BlockList, isIP } from 'node:net';

const LINK_LOCAL = new BlockList();
LINK_LOCAL.addSubnet('169.254.0.0', 16, 'ipv4');
LINK_LOCAL.addSubnet('fe80::', 10, 'ipv6');
// Metadata services that are not link-local: AWS over IPv6, Alibaba, Oracle.
LINK_LOCAL.addAddress('fd00:ec2::254', 'ipv6');
LINK_LOCAL.addAddress('100.100.100.200', 'ipv4');
LINK_LOCAL.addAddress('192.0.0.192', 'ipv4');
// What a NAT64 gateway (RFC 6052 §2.1) takes for 169.254.0.0/16.
LINK_LOCAL.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');
const METADATA_NAMES: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'instance-data',
]);

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
// "This host on this network" (RFC 6890), which connects to this machine.
LOOPBACK.addSubnet('0.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::', 'ipv6');

/** An address that only ever answers to this machine or its hypervisor; IPv4 inside IPv6 is looked through. */
export function isLinkLocalAddress(address: string): boolean {
  return isIP(address) !== 0 && LINK_LOCAL.check(address, family(address));
}

/** @param host a URL's `hostname`, brackets and the root's dot allowed */
export function isLoopbackHost(host: string): boolean {
  const bare = bareHost(host);
  if (bare === 'localhost' || bare.endsWith('.localhost')) return true;
  return isIP(bare) !== 0 && LOOPBACK.check(bare, family(bare));
}

/** Why a client of `home` must not be sent to `url`; undefined when it may. */
export function forbiddenHost(url: URL, home: URL): string | undefined {
  if (url.hostname === home.hostname) return undefined;
  const host = bareHost(url.hostname);
  if (isLinkLocalAddress(host) || METADATA_NAMES.has(host)) return 'a link-local or metadata address';
  if (isLoopbackHost(host) && !isLoopbackHost(home.hostname)) return 'an address of this machine';
  return undefined;
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function bareHost(host: string): string {
  return host
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}
