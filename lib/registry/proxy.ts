/**
 * Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY in
 * either case, read as Go's net/http reads them, because the tools next to us do.
 */
import { BlockList, isIP } from 'node:net';

import { invalidArgument } from '../errors.js';
import { isLoopbackHost } from '../source/http/forbidden-host.js';

export type Environment = Readonly<Record<string, string | undefined>>;

function variable(env: Environment, name: string): string | undefined {
  return env[name] || env[name.toLowerCase()] || undefined;
}

function portOf(url: URL): string {
  return url.port !== '' ? url.port : url.protocol === 'https:' ? '443' : '80';
}

/** `10.0.0.0/8`, `[::1]:80`, `host:port`, `.suffix`, `suffix` (itself and what is below it), `*`. */
function excluded(rule: string, host: string, port: string): boolean {
  if (rule === '*') {
    return true;
  }
  const cidr = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(rule);
  if (cidr !== null) {
    const version = isIP(cidr[1]!);
    const bits = Number(cidr[2]);
    if (version === 0 || isIP(host) !== version || bits > (version === 4 ? 32 : 128)) {
      return false;
    }
    const list = new BlockList();
    list.addSubnet(cidr[1]!, bits, version === 4 ? 'ipv4' : 'ipv6');
    return list.check(host, version === 4 ? 'ipv4' : 'ipv6');
  }
  const split = isIP(rule) === 6 ? null : /^\[?([^\]]*?)\]?:(\d+)$/.exec(rule);
  const name = (split?.[1] ?? rule).replace(/^\[|\]$/g, '').replace(/^\*\./, '.');
  if (name === '' || (split !== null && split[2] !== port)) {
    return false;
  }
  if (isIP(name) !== 0 || isIP(host) !== 0) {
    return name === host;
  }
  return name.startsWith('.') ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

/** The proxy for `url`, undefined for a direct connection. This machine is never reached through one. */
export function proxyFor(url: URL, env: Environment = process.env): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const proxy = variable(env, name);
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (proxy === undefined || isLoopbackHost(host)) {
    return undefined;
  }
  const rules = (variable(env, 'NO_PROXY') ?? '')
    .toLowerCase()
    .split(/[,\s]+/)
    .filter(rule => rule !== '');
  if (rules.some(rule => excluded(rule, host, portOf(url)))) {
    return undefined;
  }
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) {
    throw invalidArgument(name, 'an http or https URL', proxy);
  }
  return new URL(address);
}
