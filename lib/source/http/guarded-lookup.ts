/**
 * The name look-ups of a caller's host and of whatever it sends us to. A name that
 * somebody else chose may point anywhere, and elsewhere the next time it is
 * asked for, so what it resolves to decides, at the moment of connecting.
 */
import { type LookupAddress, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

import { isLinkLocalAddress, isLoopbackHost } from './forbidden-host.js';

/**
 * Refuses link-local addresses for every name, and this machine's own for names other than the caller's,
 * unless the caller's host is on this machine too.
 *
 * @param home What the caller named.
 */
export function guardedLookup(home: URL, resolve: typeof lookup = lookup): LookupFunction {
  return (hostname, options, callback) => {
    const refuse = (address: string, kind: string): void =>
      callback(new Error(`${hostname} resolves to ${address}, ${kind}`), '', 0);
    resolve(hostname, options, (error, found: string | LookupAddress[], family) => {
      const addresses = typeof found === 'string' ? [found] : (found ?? []).map(({ address }) => address);
      const linkLocal = addresses.find(isLinkLocalAddress);
      const own = hostname === home.hostname ? undefined : addresses.find(isLoopbackHost);
      if (!error && linkLocal !== undefined) {
        refuse(linkLocal, 'a link-local or metadata address');
      } else if (error || own === undefined || isLoopbackHost(home.hostname)) {
        callback(error, found as string, family);
      } else {
        // The caller's name may be one of this machine's.
        resolve(home.hostname, { all: true }, (_, homes = []) => {
          const local = homes.some(({ address }) => isLoopbackHost(address));
          if (local) callback(null, found as string, family);
          else refuse(own, 'an address of this machine');
        });
      }
    });
  };
}
