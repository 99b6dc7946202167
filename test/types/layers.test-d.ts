/** The types of layers, ztocs and sources, as a program that is checked strictly sees them. */
import { Readable } from 'node:stream';
import {
  BufferSource,
  type BuildZtocResult,
  buildZtoc,
  configure,
  ERROR_CODES,
  FileSource,
  HttpSource,
  HttpTransport,
  type LaneStats,
  type Layer,
  type LinkEstimate,
  openLayer,
  type RangeSource,
  type Settings,
  SociError,
  type SociErrorCode,
  SpanReader,
  settings,
  type TocEntry,
  verify,
  Ztoc,
} from 'seekable-oci';
import { expectType } from './equal.js';

declare const signal: AbortSignal | undefined;
declare const bytes: Uint8Array;

export async function building(): Promise<void> {
  const result = await buildZtoc(Readable.from([bytes]), { spanSize: 1, diffId: true, signal });
  expectType<BuildZtocResult>()(result);
  expectType<Ztoc>()(result.ztoc);
  expectType<number>()(result.layerSize);
  await buildZtoc([bytes]);
  await buildZtoc(bytes, { compression: 'gzip', engine: 'zlib', limits: { maxSpans: 1 } });
  // @ts-expect-error: an option that there is not
  await buildZtoc(bytes, { spansize: 1 });
  // @ts-expect-error: a compression that there is not
  await buildZtoc(bytes, { compression: 'bzip2' });
  // @ts-expect-error: a path is no layer
  await buildZtoc('layer.tar.gz');
  await verify(bytes, result.ztoc, { engine: 'fast', signal });
  const ztoc = Ztoc.decode(bytes, { expectedDigest: 'sha256:…' });
  expectType<TocEntry | undefined>()(ztoc.locate('etc/passwd'));
  // @ts-expect-error: a ztoc does not change
  ztoc.spanSize = 1;
  // @ts-expect-error: a ztoc is decoded, not made
  new Ztoc(bytes);
}

export async function sources(): Promise<void> {
  expectType<FileSource>()(await FileSource.open('layer', { signal }));
  const transport = new HttpTransport({ connections: 1, timeouts: { connect: 1 } });
  const source = await HttpSource.open(new URL('https://host/layer'), { transport, signal });
  expectType<Uint8Array>()(await source.read(0, 1, { signal }));
  // @ts-expect-error: nobody's option
  await HttpSource.open('https://host/layer', { retries: 3 });
  const all: RangeSource[] = [source, new BufferSource(bytes)];
  for await (const chunk of all[0]?.stream({ signal }) ?? []) expectType<Uint8Array>()(chunk);
  expectType<LinkEstimate | undefined>()(all[0]?.link);
  const onBytes = (arrived: Uint8Array): void => expectType<Uint8Array>()(arrived);
  await all[0]?.readInto(bytes, 0, { signal, lane: 'prefetch', onBytes });
}

export async function layers(source: RangeSource, ztoc: Ztoc): Promise<void> {
  await using layer = await openLayer(source, ztoc, { verifyWindows: 'chain', closeSource: true });
  expectType<Layer>()(layer);
  expectType<LaneStats>()(layer.stats.lanes.prefetch);
  // @ts-expect-error: what was counted does not change
  layer.stats.lanes.demand.requests = 0;
  expectType<Buffer>()(await layer.readFile('etc/passwd', { start: 0, endExclusive: 1, signal }));
  for await (const chunk of layer.tarChunks({ signal })) expectType<Uint8Array>()(chunk);
  expectType<Readable>()(layer.createTarStream());
  expectType<readonly string[]>()(Array.from(layer.entries(), ({ name }) => name) as readonly string[]);
  // @ts-expect-error: how windows are verified is one of two words
  await openLayer(source, ztoc, { verifyWindows: true });
  // @ts-expect-error: a source has more than bytes
  await openLayer(bytes, ztoc);
  const reader = new SpanReader(source, ztoc);
  await reader.readInto(bytes, 0, { signal });
}

export function processWide(): void {
  expectType<Settings>()(settings());
  configure({ cacheBytes: 1 });
  // @ts-expect-error: a setting that there is not
  configure({ cacheSize: 1 });
}

export function failures(error: unknown): void {
  if (!(error instanceof SociError)) return;
  if (error.code === 'ENOENT' || error.code === 'ERR_SOCI_CLOSED') return;
  // @ts-expect-error: a code that there is not
  if (error.code === 'ERR_SOCI_UNKNOWN') return;
  const codes: readonly SociErrorCode[] = ERROR_CODES;
  expectType<number>()(codes.length);
}
