/**
 * The same work for any build of the package: the library is the public one of
 * `package`, and nothing but what has long been exported is used of it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { peakMemory } from '../peak-memory.js';

type Library = typeof import('../../lib/index.js');

export interface AgainstParameters {
  /** Folder of a checkout with dist/ and its addon. */
  readonly package: string;
  readonly task: 'spans' | 'build' | 'warm-build' | 'stream' | 'chunks' | 'image';
  /** A gzip layer and its ztoc; of 'image' no such thing. */
  readonly layer?: string;
  readonly ztoc?: string;
  /** Of 'stream' and 'chunks': where the layer is read from. Default: memory. */
  readonly from?: 'memory' | 'file';
  /** Of 'image': where it is, and the file to read. */
  readonly reference?: string;
  readonly path?: string;
}

/** The fastest and the cheapest of the passes, the bytes of each, and the most memory that the process had. */
export async function against(parameters: AgainstParameters): Promise<Record<string, number>> {
  const entry = join(parameters.package, 'dist/index.js');
  const library = (await import(pathToFileURL(entry).href)) as Library;
  const { passes, run } = TASKS[parameters.task];
  const pass = await run(library, parameters);
  let best = Number.POSITIVE_INFINITY;
  let cheapest = Number.POSITIVE_INFINITY;
  let bytes = 0;
  for (let i = 0; i < passes; i++) {
    const start = performance.now();
    const before = process.cpuUsage();
    bytes = await pass();
    best = Math.min(best, performance.now() - start);
    const { user, system } = process.cpuUsage(before);
    cheapest = Math.min(cheapest, (user + system) / 1000);
  }
  return { milliseconds: best, cpu: cheapest, bytes, peak: peakMemory() };
}

interface Task {
  /** More than one where the process may be warm. */
  readonly passes: number;
  /** Prepares, and gives back one pass. */
  run(library: Library, parameters: AgainstParameters): Promise<() => Promise<number>>;
}

const TASKS: Readonly<Record<AgainstParameters['task'], Task>> = {
  spans: {
    passes: 3,
    async run({ BufferSource, configure, SpanReader, Ztoc }, { layer = '', ztoc = '' }) {
      configure({ cacheBytes: 0 });
      const source = new BufferSource(readFileSync(layer));
      const table = Ztoc.decode(readFileSync(ztoc));
      return async () => {
        const reader = new SpanReader(source, table);
        let bytes = 0;
        for (let i = 0; i < table.spanCount; i++) {
          const { uncompressedStart, uncompressedEnd } = table.span(i);
          bytes += (await reader.read(uncompressedStart, uncompressedEnd)).length;
        }
        await reader.close();
        return bytes;
      };
    },
  },

  build: { passes: 1, run: built },
  'warm-build': { passes: 5, run: built },

  stream: {
    passes: 2,
    run: async (library, parameters) => {
      const layer = await opened(library, parameters);
      return () => bytesOf(layer.createTarStream());
    },
  },

  chunks: {
    passes: 2,
    run: async (library, parameters) => {
      const layer = await opened(library, parameters);
      return () => bytesOf(layer.tarChunks());
    },
  },

  image: {
    passes: 1,
    async run({ openImage, RegistryTransport }, { reference = '', path = '' }) {
      return async () => {
        const transport = new RegistryTransport({ credentials: null, env: {} });
        const image = await openImage(reference, { transport });
        const { length } = await image.readFile(path);
        await image.close();
        await transport.close();
        return length;
      };
    },
  },
};

async function built({ buildZtoc, FileSource }: Library, { layer = '' }: AgainstParameters) {
  return async () => {
    const source = await FileSource.open(layer);
    const { ztoc } = await buildZtoc(source);
    await source.close();
    return ztoc.span(ztoc.spanCount - 1).uncompressedEnd;
  };
}

async function opened(library: Library, { layer = '', ztoc = '', from }: AgainstParameters) {
  const { BufferSource, FileSource, openLayer } = library;
  const source = from === 'file' ? await FileSource.open(layer) : new BufferSource(readFileSync(layer));
  return await openLayer(source, readFileSync(ztoc), { closeSource: true });
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) bytes += chunk.length;
  return bytes;
}
