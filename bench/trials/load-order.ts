/**
 * The reads of a recorded start, one after the other in their order and by their
 * ranges, out of any build of the package; with a load order where it is given one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

type Library = typeof import('../../lib/index.js');
type OpenFile = Awaited<ReturnType<Awaited<ReturnType<Library['openImage']>>['open']>>;

export interface LoadOrderParameters {
  /** Folder of a checkout with dist/ and its addon. */
  readonly package: string;
  readonly reference: string;
  /** A file with reads in JSON: `{ path, start, end }`. */
  readonly reads: string;
  /** A file with a load order; without, nothing is fetched ahead by name. */
  readonly order?: string | undefined;
}

/** ms from the start of the process. */
export async function loadOrder({
  package: folder,
  reference,
  reads,
  order,
}: LoadOrderParameters): Promise<Record<string, number>> {
  const library = (await import(pathToFileURL(join(folder, 'dist/index.js')).href)) as Library;
  const wanted = JSON.parse(readFileSync(reads, 'utf8')) as { path: string; start: number; end: number }[];
  const started = performance.now();
  const transport = new library.RegistryTransport({
    credentials: null,
    env: {},
    hosts: { '*': { plainHttp: true } },
  });
  const image = await library.openImage(reference, { transport });
  const ahead =
    order === undefined
      ? undefined
      : image.prefetch(library.parseLoadOrder(readFileSync(order), order)).catch(() => undefined);
  const files = new Map<string, OpenFile>();
  let bytes = 0;
  for (const { path, start, end } of wanted) {
    const file = files.get(path) ?? (await image.open(path));
    files.set(path, file);
    const { bytesRead } = await file.read(Buffer.allocUnsafe(end - start), 0, end - start, start);
    bytes += bytesRead;
  }
  const milliseconds = performance.now();
  const { requests, fetchedBytes } = image.stats;
  await image.close();
  await ahead;
  await transport.close();
  return { milliseconds, started, bytes, requests, fetchedBytes };
}
