/** Small files of one layer, one after the other with everything kept, in a process that has read nothing yet. */
import { readFileSync } from 'node:fs';
import { FileSource, openLayer, Ztoc } from '../../lib/index.js';
import { peakMemory } from '../peak-memory.js';

interface GiantBlockParameters {
  readonly layer: string;
  readonly ztoc: string;
  /** In the order in which they are read. */
  readonly paths: readonly string[];
}

/** Milliseconds by the number of the read: `read0`, `read1`. */
export async function giantBlock(parameters: GiantBlockParameters): Promise<Record<string, number>> {
  const table = Ztoc.decode(readFileSync(parameters.ztoc));
  const source = await FileSource.open(parameters.layer);
  const layer = await openLayer(source, table);
  const times: Record<string, number> = {};
  for (const [i, path] of parameters.paths.entries()) {
    const start = performance.now();
    await layer.readFile(path);
    times[`read${i}`] = performance.now() - start;
  }
  await layer.close();
  await source.close();
  return { ...times, peak: peakMemory() };
}
