/** A whole layer as a stream of its tar, digests and windows checked, the bytes thrown away. */
import { readFileSync } from 'node:fs';
import { BufferSource, configure, FileSource, openLayer } from '../../lib/index.js';
import { peakMemory } from '../peak-memory.js';

export interface TarStreamParameters {
  readonly layer: string;
  readonly ztoc: string;
  readonly from: 'file' | 'memory';
  /** Chunks that are lent, or a Readable. */
  readonly as: 'chunks' | 'stream';
  readonly concurrency: number;
  readonly passes: number;
}

/** The fastest pass, and how much of its CPU time was the main thread's. */
export async function streamTar(parameters: TarStreamParameters): Promise<Record<string, number>> {
  const { layer: path, ztoc, from, as, concurrency, passes } = parameters;
  configure({ decodeConcurrency: concurrency });
  const source = from === 'file' ? await FileSource.open(path) : new BufferSource(readFileSync(path));
  await using layer = await openLayer(source, readFileSync(ztoc), { closeSource: true });
  let best = { milliseconds: Number.POSITIVE_INFINITY, cpu: 0, bytes: 0 };
  for (let i = 0; i < passes; i++) {
    const start = performance.now();
    const before = process.cpuUsage();
    let bytes = 0;
    const chunks: AsyncIterable<Uint8Array> = as === 'chunks' ? layer.tarChunks() : layer.createTarStream();
    for await (const chunk of chunks) bytes += chunk.length;
    const milliseconds = performance.now() - start;
    const { user, system } = process.cpuUsage(before);
    if (milliseconds < best.milliseconds) best = { milliseconds, cpu: (user + system) / 1000, bytes };
  }
  return { ...best, peak: peakMemory() };
}
