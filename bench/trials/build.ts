/** Building ztocs: of a file, and of a layer that is generated while it is read. */
import { gzipSync } from 'node:zlib';
import { buildZtoc, type EngineName, FileSource } from '../../lib/index.js';
import { peakMemory } from '../peak-memory.js';
import { tarHeader, tarTrailer } from '../tar-bytes.js';

interface BuildParameters {
  readonly layer: string;
  readonly spanSize: number;
  readonly diffId: boolean;
  readonly engine: EngineName;
  /** Default: those of the machine. */
  readonly threads?: number;
}

export async function buildTrial(parameters: BuildParameters): Promise<Record<string, number>> {
  const { layer, ...options } = parameters;
  const source = await FileSource.open(layer);
  const start = performance.now();
  const cpu = process.cpuUsage();
  const { ztoc } = await buildZtoc(source, options);
  const size = ztoc.bytes.length;
  const milliseconds = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  await source.close();
  return { milliseconds, cpu: (user + system) / 1000, ztocBytes: size, spans: ztoc.spanCount };
}

const FILE_BYTES = 16 * 1024 * 1024;

/** Text that deflate shrinks about threefold, like code; the same in every run. */
function fileData(): Buffer {
  const words = Array.from({ length: 4096 }, (_, i) => ((i * 2654435761) >>> 8).toString(36));
  const data = Buffer.alloc(FILE_BYTES);
  let state = 1;
  for (let at = 0; at < FILE_BYTES; ) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    at += data.write(`${words[state >>> 20]} `, at, 'latin1');
  }
  return data;
}

/** Gzip members one after the other: `count` times one file, then the end of the archive. */
function* generatedLayer(count: number): Generator<Uint8Array> {
  const member = gzipSync(Buffer.concat([tarHeader('srv/data', FILE_BYTES), fileData()]));
  for (let i = 0; i < count; i++) yield member;
  yield gzipSync(tarTrailer);
}

/** Peak memory of the process, beside what it had before the build began. */
export async function indexGenerated(parameters: {
  readonly bytes: number;
  readonly spanSize: number;
}): Promise<Record<string, number>> {
  const count = Math.ceil(parameters.bytes / FILE_BYTES);
  const layer = generatedLayer(count);
  const before = process.memoryUsage.rss();
  const start = performance.now();
  const { ztoc } = await buildZtoc(layer, { spanSize: parameters.spanSize });
  const milliseconds = performance.now() - start;
  const peak = peakMemory();
  const ztocBytes = ztoc.encode().length;
  return { milliseconds, peak, before, ztocBytes, bytes: count * FILE_BYTES };
}
