/** Decoding a ztoc and looking names up in it. */
import { readFileSync } from 'node:fs';
import { Ztoc } from '../../lib/index.js';

interface TocParameters {
  readonly ztoc: string;
  readonly names: readonly string[];
}

export async function tableOfContents({ ztoc, names }: TocParameters): Promise<Record<string, number>> {
  const bytes = readFileSync(ztoc);
  const start = performance.now();
  const decoded = Ztoc.decode(bytes);
  const afterDecode = performance.now();
  const [first = '', ...others] = names;
  let found = decoded.locate(first) === undefined ? 0 : 1;
  const afterFirst = performance.now();
  for (const name of others) if (decoded.locate(name) !== undefined) found++;
  const end = performance.now();
  if (found !== names.length) throw new Error(`${names.length - found} names were not found`);
  return {
    decode: afterDecode - start,
    first: afterFirst - afterDecode,
    lookup: ((end - afterFirst) / Math.max(1, others.length)) * 1000,
    rss: process.memoryUsage.rss(),
  };
}
