/** Decoding all spans of a layer that is in memory, through the addon. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { decodeSpan, type EngineName, type GzipSpanJob } from '../../lib/binding.js';
import { Ztoc } from '../../lib/index.js';

export interface SpanDecodeParameters {
  readonly layer: string;
  readonly ztoc: string;
  readonly engine: EngineName;
  /** Jobs in flight. */
  readonly concurrency: number;
  /** Where they decode to: a caller's buffer each, used again and again, or new memory, as when a layer is read. */
  readonly output: 'given' | 'new';
  /** Who hashes the spans: nobody, the job that decodes, or node:crypto before it on the main thread. */
  readonly digests: 'none' | 'job' | 'node:crypto';
  readonly passes: number;
}

type MemoryJob = GzipSpanJob & { readonly input: Uint8Array };

interface Work {
  readonly jobs: readonly MemoryJob[];
  /** Uncompressed bytes of all spans. */
  readonly bytes: number;
}

function prepare({ layer, ztoc: path, engine, digests, concurrency, output }: SpanDecodeParameters): Work {
  const bytes = readFileSync(layer);
  const ztoc = Ztoc.decode(readFileSync(path));
  const spans = Array.from({ length: ztoc.spanCount }, (_, i) => ztoc.span(i));
  const lengths = spans.map(span => span.uncompressedEnd - span.uncompressedStart);
  const targets = Array.from({ length: concurrency }, () => new Uint8Array(Math.max(...lengths)).fill(1));
  const jobs = spans.map((span, i): MemoryJob => {
    const length = lengths[i] as number;
    return {
      codec: 'gzip',
      engine,
      start: 'raw',
      bits: span.bits,
      window: ztoc.window(i),
      input: bytes.subarray(span.compressedStart, span.compressedEnd),
      digest: digests === 'job' ? Buffer.from(span.digest.slice('sha256:'.length), 'hex') : undefined,
      digestOffset: 0,
      output: output === 'given' ? (targets[i % concurrency] as Uint8Array).subarray(0, length) : length,
    };
  });
  return { jobs, bytes: lengths.reduce((sum, length) => sum + length, 0) };
}

async function pass(
  all: readonly MemoryJob[],
  { concurrency, digests }: SpanDecodeParameters,
): Promise<void> {
  const worker = async (w: number) => {
    for (let i = w; i < all.length; i += concurrency) {
      const job = all[i] as MemoryJob;
      if (digests === 'node:crypto') createHash('sha256').update(job.input).digest();
      await decodeSpan(job);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, (_, w) => worker(w)));
}

/** The fastest and the cheapest of some passes, as span-loop.c does it. */
export async function decodeSpans(parameters: SpanDecodeParameters): Promise<Record<string, number>> {
  const { jobs, bytes } = prepare(parameters);
  let best = Number.POSITIVE_INFINITY;
  let cheapest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < parameters.passes; i++) {
    const start = performance.now();
    const cpu = process.cpuUsage();
    await pass(jobs, parameters);
    best = Math.min(best, performance.now() - start);
    const { user, system } = process.cpuUsage(cpu);
    cheapest = Math.min(cheapest, (user + system) / 1000);
  }
  return { milliseconds: best, cpu: cheapest, bytes, spans: jobs.length };
}
