/** Reading one file of a layer behind HTTP with nothing cached, the ztoc at hand. */
import { readFileSync } from 'node:fs';
import { HttpSource, openLayer, Ztoc } from '../../lib/index.js';

interface ColdReadParameters {
  readonly url: string;
  readonly ztoc: string;
  readonly path: string;
}

export async function coldRead({ url, ztoc, path }: ColdReadParameters): Promise<Record<string, number>> {
  const table = Ztoc.decode(readFileSync(ztoc));
  const start = performance.now();
  const source = await HttpSource.open(url);
  const layer = await openLayer(source, table);
  const bytes = await layer.readFile(path);
  const milliseconds = performance.now() - start;
  const { requests, bytes: fetched } = source.stats;
  await layer.close();
  await source.close();
  return { milliseconds, bytes: bytes.length, requests, fetched };
}
