/** `seekable-oci prefetch`: brings an image, or what will be wanted of it, into a store. */
import type { Image, PrefetchedLayer, PrefetchReport, PrefetchTarget } from '../index.js';
import { byteText } from './byte-text.js';
import { type Command, ExitStatus, type Invocation, optionBytes, optionText, UsageError } from './command.js';
import { counted } from './counted.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession, shortDigest } from './image-session.js';
import { chosenImage, namedLoadOrder } from './load-order-document.js';

/** Of failures and of paths that are not there, so many are spoken of one by one. */
const MAX_LINES = 20;

const NOTHING_NAMED =
  'no prefetch artifact of a SOCI index names anything: say what to fetch with PATHs, --load-order or --all';

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', ...paths] = invocation.operands;
  const maxBytesPerSecond = optionBytes(invocation, 'max-rate', 1);
  const name = checkedChoice(invocation, paths);
  await ImageSession.run(invocation, [operand], async session => {
    if (session.store === undefined) throw new UsageError('expected --store DIR');
    const order = name === undefined ? undefined : await orderOf(session, operand, name);
    await session.read(operand, async image => {
      const all = invocation.options['all'] === true;
      const target = order ?? (all ? 'all' : paths.length > 0 ? paths : 'soci');
      const report = await prefetched(session, image, target, { maxBytesPerSecond });
      if (session.json) await session.output.writeJson(asJson(image, report));
      else {
        await print(session, report);
        if (target === 'soci' && report.layers.length === 0) {
          session.reporter.line(NOTHING_NAMED);
        }
      }
      const missing = paths.length > 0 && report.omitted.length > 0;
      if (report.failures.length > 0 || missing) throw new ExitStatus(1);
    });
  });
}

/** The load order that is named, once at most one way to say what is wanted was used. @throws UsageError */
function checkedChoice(invocation: Invocation, paths: readonly string[]): string | undefined {
  const order = optionText(invocation, 'load-order');
  const ways = [paths.length > 0, invocation.options['all'] === true, order !== undefined];
  if (ways.filter(used => used).length > 1) {
    throw new UsageError('prefetch: expected either PATHs, --all or --load-order');
  }
  return order;
}

async function orderOf(session: ImageSession, operand: string, name: string) {
  const { repository, reference } = session.openKept(operand);
  const image = await chosenImage(session, repository, reference);
  return await namedLoadOrder(name, repository, image, session.signal);
}

/** With a bar for each layer. @throws UsageError for an image that no store keeps */
async function prefetched(
  { reporter, signal }: ImageSession,
  image: Image,
  target: PrefetchTarget,
  options: { readonly maxBytesPerSecond: number | undefined },
): Promise<PrefetchReport> {
  if ((await image.completion({ signal })) === undefined) {
    throw new UsageError('prefetch: expected an image of a registry; this one is on this machine anyway');
  }
  return await image.prefetch(target, {
    signal,
    ...options,
    onProgress: ({ layer, digest, bytes, size }) => {
      if (bytes < size) reporter.progress(digest, layerText(layer, digest), bytes, size);
      else reporter.endBar(digest);
    },
  });
}

function layerText(layer: number, digest: string): string {
  return `layer ${layer} ${shortDigest(digest)}`;
}

async function print(
  { output, reporter }: ImageSession,
  { layers, failures, omitted }: PrefetchReport,
): Promise<void> {
  for (const { path, reason } of omitted.slice(0, MAX_LINES)) {
    reporter.line(`${path} is left out: ${WHY_OMITTED[reason]}`);
  }
  tellMore(reporter, omitted.length);
  for (const { layer, layerDigest, firstSpan, endSpan, error } of failures.slice(0, MAX_LINES)) {
    const spans = endSpan === firstSpan ? 'its prefetch artifact' : `spans ${firstSpan} to ${endSpan - 1}`;
    reporter.line(`${layerText(layer, layerDigest)}, ${spans}: ${error.message} [${error.code}]`);
  }
  tellMore(reporter, failures.length);
  for (const layer of layers) await output.write(`${countsText(layer)}\n`);
  const bytes = layers.reduce((sum, { present, fetched }) => sum + present + fetched, 0);
  const size = layers.reduce((sum, layer) => sum + layer.size, 0);
  await output.write(
    layers.length === 0
      ? 'nothing is named that has to be fetched\n'
      : `${byteText(bytes)} of ${byteText(size)} wanted of ${counted(layers.length, 'layer')} in the store\n`,
  );
}

const WHY_OMITTED = {
  missing: 'the image has no such file',
  changed: 'it has another size in the image',
  unpacked: 'its layer has been unpacked on this machine',
} as const;

function tellMore(reporter: ImageSession['reporter'], count: number): void {
  if (count > MAX_LINES) reporter.line(`and ${count - MAX_LINES} more of this kind`);
}

function countsText({ layer, layerDigest, present, fetched, failed, left, diffId }: PrefetchedLayer): string {
  const parts = [`${byteText(present)} there`, `${byteText(fetched)} fetched`];
  if (failed > 0) parts.push(`${byteText(failed)} failed`);
  if (left > 0) parts.push(`${byteText(left)} left out, as the store has no room`);
  if (diffId !== undefined) parts.push('complete, diffID proved');
  return `${layerText(layer, layerDigest)}: ${parts.join(', ')}`;
}

function asJson(image: Image, report: PrefetchReport) {
  const failures = report.failures.map(({ error, ...where }) => {
    return { ...where, code: error.code, message: error.message };
  });
  return { digest: image.manifest.descriptor.digest, ...report, failures };
}

export const prefetch: Command = {
  summary: 'Fetches files of an image, or all of it, into a store, so that reading them later asks nobody.',
  operands: ['IMAGE', '[PATH]…'],
  options: {
    all: { type: 'boolean', help: 'all layers, each proved as a whole when the last of it is there' },
    'load-order': {
      type: 'string',
      value: 'NAME',
      help: 'what the load order of this workload says, or one in a file',
    },
    'max-rate': { type: 'string', value: 'SIZE', help: 'fetch at most so many bytes a second (e.g. 10MB)' },
    ...IMAGE_OPTIONS,
  },
  notes: [
    'PATH is a file, a directory with all that is below it, or a pattern (*, ?, [a-z], {a,b}, **), from / on. With',
    "neither, it is what the prefetch artifacts of the image's SOCI index name. Needs --store. What fails is tried",
    'again, and then told; it keeps nothing else from being fetched. Status 1 if something failed or is not there.',
  ],
  run,
};
