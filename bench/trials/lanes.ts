/** Reads of somebody who waits beside others, and reads of a host that does not bear as many at once as we could send. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Lane } from '../../lib/index.js';
import { HostTraffic } from '../../lib/source/http/host-traffic.js';
import { HttpSource } from '../../lib/source/http/http-source.js';
import { HttpTransport } from '../../lib/source/http/http-transport.js';
import type { RequestLimit } from '../../lib/source/http/request-limit.js';

export interface DemandParameters {
  readonly url: string;
  readonly size: number;
  readonly spanBytes: number;
  readonly reads: number;
  /** Of the reads beside; none when absent. */
  readonly beside?: Lane | undefined;
}

/** Reads beside that are under way at once: two pieces of each of four layers. */
const BESIDE = 8;
const BESIDE_BYTES = 8 * 1024 * 1024;
/** Between two demand reads, so that the others fill the link again. */
const PAUSE_MS = 150;

/** How long a read takes that somebody waits for, and what those beside it get. */
export async function demandLatency(parameters: DemandParameters): Promise<Record<string, number>> {
  const { url, size, spanBytes, reads, beside } = parameters;
  const transport = new HttpTransport({ connections: 32 });
  const source = await HttpSource.open(url, { size, transport });
  const stopped = new AbortController();
  let bytesBeside = 0;
  const readOn = async (worker: number): Promise<void> => {
    for (let at = worker * BESIDE_BYTES; !stopped.signal.aborted; at += BESIDE * BESIDE_BYTES) {
      const offset = at % (size - BESIDE_BYTES);
      await source.read(offset, BESIDE_BYTES, { lane: beside, signal: stopped.signal });
      bytesBeside += BESIDE_BYTES;
    }
  };
  const others = beside === undefined ? [] : Array.from({ length: BESIDE }, (_, worker) => readOn(worker));
  const ended = Promise.allSettled(others);
  // The connection of the first one is made before.
  await source.read(0, 1);
  await delay(PAUSE_MS);
  const began = performance.now();
  const times: number[] = [];
  for (let i = 0; i < reads; i++) {
    const start = performance.now();
    await source.read((i * 7 * spanBytes) % (size - spanBytes), spanBytes);
    times.push(performance.now() - start);
    await delay(PAUSE_MS);
  }
  const seconds = (performance.now() - began) / 1000;
  stopped.abort();
  await ended;
  await source.close();
  await transport.close();
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.ceil(share * times.length) - 1] ?? Number.NaN;
  return { p50: at(0.5), p95: at(0.95), besidePerSecond: bytesBeside / seconds };
}

export interface CrowdParameters {
  readonly url: string;
  readonly size: number;
  readonly pieceBytes: number;
  readonly pieces: number;
  readonly limit: 'adapted' | 'fixed';
}

const CONNECTIONS = 32;
const DOCUMENTS = 3;

/** All connections, whatever comes of it. */
const FIXED: RequestLimit = {
  places: CONNECTIONS,
  epoch: 0,
  allow() {},
  succeeded() {},
  failed() {},
  answered() {},
};

/** How long it takes to get all pieces, as many at once as there are connections; those that fail are asked for again. */
export async function crowdedHost(parameters: CrowdParameters): Promise<Record<string, number>> {
  const { url, size, pieceBytes, pieces, limit } = parameters;
  const traffic = new HostTraffic(() => 0, limit === 'fixed' ? { limit: () => FIXED } : {});
  const transport = new HttpTransport({ connections: CONNECTIONS, traffic });
  const source = await HttpSource.open(url, { size, transport });
  // Whoever reads layers has read documents of the same host before, and knows how fast it can be.
  for (let i = 0; i < DOCUMENTS; i++) await source.read(i, 1);
  let failures = 0;
  let next = 0;
  const began = performance.now();
  const worker = async (): Promise<void> => {
    for (let piece = next++; piece < pieces; ) {
      const offset = (piece * pieceBytes) % (size - pieceBytes);
      try {
        await source.read(offset, pieceBytes);
        piece = next++;
      } catch {
        failures++;
      }
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  const milliseconds = performance.now() - began;
  const { requests } = source.stats;
  await source.close();
  await transport.close();
  return { milliseconds, failures, requests };
}
