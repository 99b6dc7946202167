/** A registry at its worst: of the requests for blobs one in a few is reset, cut, dripped, refused, shortened or answered with wrong bytes. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault, RegistryRequest, Reply, TestRegistry } from '../../lib/testing/testing.js';

/** Faults by their names, each drawn for one request in so many. */
const ONE_IN = 60;
const DRIP_BYTES = 8 * 1024;

/** @param blobs by their digests, as they are */
export function misbehave(
  registry: TestRegistry,
  blobs: ReadonlyMap<string, Uint8Array>,
  draw: () => number,
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const inject = (name: string, fault: Fault): void => {
    const match = ({ method, path }: RegistryRequest): boolean => {
      const drawn = method === 'GET' && path.includes('/blobs/') && draw() < 1 / ONE_IN;
      if (drawn) counts.set(name, (counts.get(name) ?? 0) + 1);
      return drawn;
    };
    registry.inject({ ...fault, match });
  };
  inject('reset', { cutAfter: -1 });
  inject('cut', { cutAfter: 20_000 });
  inject('stall', { stallAfter: 10_000 });
  inject('late', { delay: 300 });
  inject('wrong', { corrupt: 1000 });
  inject('wrong far', { corrupt: 100_000 });
  inject('429', { reply: { status: 429, headers: { 'retry-after': '0' } } });
  inject('503', { reply: { status: 503, headers: {} } });
  inject('short', { reply: request => part(request, blobs, all => all.subarray(0, all.length >> 1)) });
  inject('drip', { reply: request => part(request, blobs, dripped) });
  return counts;
}

/** The right headers with something else as the body. */
function part(
  { path, headers }: RegistryRequest,
  blobs: ReadonlyMap<string, Uint8Array>,
  spoil: (bytes: Uint8Array) => NonNullable<Reply['body']>,
): Reply {
  const blob = blobs.get(path.split('/').at(-1) ?? '');
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers['range'] ?? '') ?? [];
  if (blob === undefined || from === undefined) return { status: 503, headers: {} };
  const [start, end] = [Number(from), Number(to) + 1];
  return {
    status: 206,
    headers: { 'content-range': `bytes ${start}-${end - 1}/${blob.length}` },
    body: spoil(blob.subarray(start, end)),
  };
}

async function* dripped(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += DRIP_BYTES) {
    await delay(10);
    yield bytes.subarray(at, at + DRIP_BYTES);
  }
}
