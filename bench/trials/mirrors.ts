/** Single spans of one file of an image, one after the other, at places that only the seed decides. */
import {
  type HedgeOptions,
  type HostOrder,
  openImage,
  ReadContext,
  RegistryTransport,
} from '../../lib/index.js';

export interface MirrorsParameters {
  /** `host:port/repository:tag` */
  readonly reference: string;
  /** URLs, in their configured order. */
  readonly mirrors: readonly string[];
  readonly hostOrder: HostOrder;
  readonly hedge?: HedgeOptions;
  readonly path: string;
  readonly spanSize: number;
  /** Reads that are not measured, and then those that are. */
  readonly before: number;
  readonly reads: number;
  readonly seed: number;
}

export async function mirrors(parameters: MirrorsParameters): Promise<Record<string, number>> {
  const { reference, hostOrder, hedge, path, spanSize, before, reads } = parameters;
  const registry = reference.slice(0, reference.indexOf('/'));
  const hosts = { [registry]: { mirrors: parameters.mirrors.map(url => ({ url })) } };
  const transport = new RegistryTransport({ credentials: null, env: {}, hosts, hostOrder, hedge });
  // Nothing decoded is kept: every read fetches its span.
  const context = new ReadContext({ cacheBytes: 0 });
  const image = await openImage(reference, { transport, context });
  const file = await image.open(path);
  const spans = Math.floor(file.size / spanSize) - 1;
  const buffer = Buffer.alloc(1);
  let state = parameters.seed;
  const read = async (): Promise<number> => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const start = performance.now();
    // Not at its edge, where a neighbour may be needed too.
    await file.read(buffer, 0, 1, (1 + (state % (spans - 1))) * spanSize + spanSize / 2);
    return performance.now() - start;
  };
  for (let i = 0; i < before; i++) await read();
  const cpu = process.cpuUsage();
  const all: number[] = [];
  for (let i = 0; i < reads; i++) all.push(await read());
  const { user, system } = process.cpuUsage(cpu);
  const { fetchedBytes, hedges, hedgeBytes } = image.stats;
  await file.close();
  await image.close();
  await transport.close();
  const sorted = [...all].sort((a, b) => a - b);
  const percentile = (percent: number): number => sorted[Math.ceil((percent / 100) * reads) - 1] as number;
  return {
    milliseconds: all.reduce((sum, each) => sum + each, 0),
    cpu: (user + system) / 1000,
    median: percentile(50),
    p95: percentile(95),
    p99: percentile(99),
    fetchedBytes,
    hedges,
    hedgeBytes,
  };
}
