/** Reading a layer behind a slow link in a way that one part of planning is made for, with it or without. */
import { readFileSync } from 'node:fs';
import { HttpSource, type Layer, openLayer, ReadContext, Ztoc } from '../../lib/index.js';

export interface PlanningParameters {
  readonly situation: keyof typeof SITUATIONS;
  readonly part: 'on' | 'off';
  readonly url: string;
  readonly ztoc: string;
}

/** The files are those of the benchmark's layers: small ones all over one, a large one in the other. */
interface Situation {
  readonly switchOff: (context: ReadContext) => void;
  /** Switches off what would show beside it, in any case. */
  readonly alone?: (context: ReadContext) => void;
  /** What comes before and is not measured. */
  readonly prepare?: (layer: Layer) => Promise<void>;
  /** Returns milliseconds, where they are not all that it took. */
  run(layer: Layer): Promise<number | undefined>;
}

/** Of all situations but those that show it: what is fetched ahead would take its share of the link. */
const noReadAhead = (context: ReadContext): void => void context.configure({ maxReadAheadBytes: 0 });

function names(layer: Layer): string[] {
  return [...layer.entries()].filter(({ name }) => name.startsWith('small/')).map(({ name }) => name);
}

/** The same order in every process, and no sequence. */
function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item, i) => ({ item, at: Math.imul(i + 1, 2654435761) >>> 0 }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

const SITUATIONS = {
  /** Files all over a layer, each by somebody else. */
  joins: {
    alone: noReadAhead,
    switchOff: context => {
      context.planning.joins = false;
    },
    async run(layer) {
      await Promise.all(names(layer).map(name => layer.readFile(name)));
      return undefined;
    },
  },
  /** A file of which every second span has been read before. */
  bridges: {
    alone: noReadAhead,
    switchOff: context => {
      context.planning.bridges = false;
    },
    async prepare(layer) {
      const { offset, size } = layer.lookup('patchy');
      const spans = Array.from({ length: layer.ztoc.spanCount }, (_, i) => layer.ztoc.span(i));
      const starts = spans.map(({ uncompressedStart }) => uncompressedStart - offset);
      const read = starts.filter((start, i) => i % 2 === 0 && start >= 0 && start < size);
      await Promise.all(read.map(start => layer.readFile('patchy', { start, endExclusive: start + 1 })));
    },
    async run(layer) {
      await layer.readFile('patchy');
      return undefined;
    },
  },
  /** The average wait of those whose spans share a request. */
  overlaps: {
    alone: noReadAhead,
    switchOff: context => {
      context.planning.overlaps = false;
    },
    async run(layer) {
      const { size } = layer.lookup('large');
      const parts = 8;
      const began = performance.now();
      const waits = Array.from({ length: parts }, async (_, i) => {
        const start = Math.floor((i * size) / parts);
        await layer.readFile('large', { start, endExclusive: start + 1000 });
        return performance.now() - began;
      });
      return (await Promise.all(waits)).reduce((sum, wait) => sum + wait, 0) / parts;
    },
  },
  /** A large file from front to back, 64 KiB at a time. */
  'read-ahead': {
    switchOff: noReadAhead,
    async run(layer) {
      await using file = await layer.open('large');
      const buffer = Buffer.alloc(64 * 1024);
      while ((await file.read(buffer)).bytesRead > 0);
      return undefined;
    },
  },
  /** All files of a layer, one after the other and in no order. */
  rest: {
    switchOff: noReadAhead,
    async run(layer) {
      for (const name of shuffled(names(layer))) await layer.readFile(name);
      return undefined;
    },
  },
} satisfies Readonly<Record<string, Situation>>;

export async function planning(parameters: PlanningParameters): Promise<Record<string, number>> {
  const { situation, part, url, ztoc } = parameters;
  const chosen: Situation = SITUATIONS[situation];
  await using context = new ReadContext();
  chosen.alone?.(context);
  if (part === 'off') chosen.switchOff(context);
  await using source = await HttpSource.open(url);
  await using layer = await openLayer(source, Ztoc.decode(readFileSync(ztoc)), { context });
  await chosen.prepare?.(layer);
  const cpu = process.cpuUsage();
  const before = layer.stats;
  const began = performance.now();
  const own = await chosen.run(layer);
  const milliseconds = own ?? performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const { requests, fetchedBytes } = layer.stats;
  return {
    milliseconds,
    requests: requests - before.requests,
    fetchedBytes: fetchedBytes - before.fetchedBytes,
    cpu: (user + system) / 1000,
  };
}
