/** `seekable-oci pull`: all of an image, to trees of files, layouts and archives on this machine. */
import type { PulledBlobReport, PulledTarget, PullProgress, PullResult } from '../index.js';
import { pullImage } from '../pull/pull-image.js';
import { byteText } from './byte-text.js';
import { type Command, type Invocation, UsageError } from './command.js';
import { counted } from './counted.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession, shortDigest } from './image-session.js';
import { PULL_SETTINGS, pullSettings } from './pull-settings.js';
import type { Reporter } from './reporter.js';

const TOTAL = 'total';

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', ...targets] = invocation.operands;
  const { limits, unpack, discard, warnings } = await pullSettings(invocation);
  const { referrers, sync, offline } = invocation.options;
  const publish = invocation.options['publish-index'] === true;
  await ImageSession.run(invocation, [operand], async session => {
    if (publish && session.store === undefined)
      throw new UsageError('--publish-index: expected --store DIR too');
    for (const warning of warnings) session.reporter.line(warning);
    const result = await pullImage(operand, {
      targets,
      platform: session.onePlatform,
      referrers: referrers === true,
      sync: sync === true,
      store: session.store,
      offline: offline === true,
      limits,
      index: session.chosenIndex,
      unpack: { ...unpack, semantics: session.semantics },
      transport: session.transport,
      signal: session.signal,
      onProgress: progressOf(session.reporter),
    });
    if (publish) await publishIndexOf(session, operand);
    if (discard) await discardLayers(session, result);
    if (session.json) await session.output.writeJson(asJson(result));
    else await session.output.write(resultText(result));
  });
}

/** Of what was made on the way, so that no layer is read again; one that is there already stays alone. */
async function publishIndexOf(session: ImageSession, operand: string): Promise<void> {
  const { publishIndex } = await import('../soci/publish-index.js');
  const { signal, reporter } = session;
  const cache = session.cacheForBuilding();
  const { indexes, skipped } = await publishIndex(session.openKept(operand), {
    cache,
    existing: 'skip',
    // The image is here all the same.
    allowEmpty: true,
    signal,
  });
  if (indexes.length + skipped.length === 0) {
    reporter.line('no SOCI index was pushed: no layer is large enough, and of a kind, to get a ztoc');
  }
  for (const { descriptor, outcome } of indexes) reporter.line(`SOCI index ${descriptor.digest}: ${outcome}`);
  for (const { existing } of skipped) reporter.line(`SOCI index ${existing[0]?.digest}: is there already`);
}

/** What was unpacked; whatever another process has pinned stays. */
async function discardLayers({ store, signal }: ImageSession, { targets, blobs }: PullResult): Promise<void> {
  const unpacked = targets.every(({ target }) => /^(?:rootfs|overlay):/.test(target));
  if (store === undefined || !unpacked) return;
  for (const { layer, digest } of blobs) if (layer !== undefined) await store.remove(digest, { signal });
}

function asJson({ targets, ...result }: PullResult) {
  const notesOf = ({ tree, ...target }: PulledTarget) => {
    return { ...target, ...(tree === undefined ? {} : { tree }) };
  };
  return { ...result, targets: targets.map(notesOf) };
}

function progressOf(reporter: Reporter): (progress: PullProgress) => void {
  return ({ phase, layer, digest, bytes, size, totalBytes, totalSize }) => {
    const label = layer === undefined ? shortDigest(digest) : `layer ${layer} ${shortDigest(digest)}`;
    if (phase === 'unpack') {
      if (bytes < size) reporter.progress(`unpack ${digest}`, `${label} unpacked`, bytes, size);
      else reporter.endBar(`unpack ${digest}`);
      return;
    }
    reporter.progress(TOTAL, TOTAL, totalBytes, totalSize);
    if (bytes < size) {
      reporter.progress(digest, label, bytes, size);
      return;
    }
    reporter.endBar(digest);
    if (layer !== undefined) reporter.line(`${label}: ${byteText(size)} are here`);
    if (totalBytes >= totalSize) reporter.endBar(TOTAL);
  };
}

function resultText({
  digest,
  blobs,
  targets,
  size,
  fetched,
  ms,
  bytesPerSecond,
  absent,
}: PullResult): string {
  const layers = blobs.filter(({ layer }) => layer !== undefined);
  const others = blobs.length - layers.length;
  const missing = absent.map(({ digest }) => `${shortDigest(digest)} is listed and not there\n`);
  const total = `${byteText(fetched)} of ${byteText(size)} fetched in ${secondsText(ms)}${rateText(bytesPerSecond)}`;
  const counts = `${counted(layers.length, 'layer')} and ${counted(others, 'other blob')}`;
  return [
    ...layers.map(layerText),
    ...missing,
    `${total}: ${counts}\n`,
    ...targets.flatMap(target => targetTexts(digest, target)),
  ].join('');
}

function targetTexts(digest: string, { target, outcome, tree }: PulledTarget): string[] {
  const line = `${digest}  ${target}${outcome === 'unchanged' ? ', as it was' : ''}\n`;
  if (tree === undefined) return [line];
  const { layers, skipped, lowerdir } = tree;
  const left = Object.entries(skipped).filter(([, count]) => count > 0);
  return [
    ...layers.map(
      ({ layer, entries, unpackedSize, why }) =>
        `layer ${layer}: ${counted(entries, 'entry')}, ${byteText(unpackedSize)} of tar, ${why}\n`,
    ),
    ...left.map(([what, count]) => `${count} ${what} were left out: only root may set them\n`),
    ...(lowerdir === undefined ? [] : [`${lowerdir}\n`]),
    line,
  ];
}

function layerText({ layer, digest, size, outcome, why, ms, bytesPerSecond }: PulledBlobReport): string {
  const time = bytesPerSecond === undefined ? '' : `, ${secondsText(ms)}${rateText(bytesPerSecond)}`;
  return `layer ${layer} ${shortDigest(digest)} ${byteText(size)}: ${outcome}${time} (${why})\n`;
}

function secondsText(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function rateText(bytesPerSecond: number | undefined): string {
  return bytesPerSecond === undefined ? '' : `, ${byteText(bytesPerSecond)}/s`;
}

export const pull: Command = {
  summary:
    'Fetches all of an image, once, to any number of file trees, layouts and archives on this machine.',
  operands: ['IMAGE', 'DEST…'],
  options: {
    referrers: {
      type: 'boolean',
      help: 'also what refers to it, and to that: SOCI indexes, signatures, …',
    },
    sync: {
      type: 'boolean',
      help: 'have all of it on the disk in the end, so that a power cut costs nothing',
    },
    'publish-index': {
      type: 'boolean',
      help: 'push the SOCI index of the ztocs that were made on the way, beside the image; needs --store',
    },
    ...PULL_SETTINGS,
    ...IMAGE_OPTIONS,
    platform: {
      type: 'string',
      multiple: true,
      value: 'P',
      help: "os/arch[/variant], or 'all' (default: the host's, else the only one)",
    },
  },
  notes: [
    'DEST is rootfs:DIR (one file system), overlay:DIR (a directory for each layer, and layers.json), oci:DIR[:TAG],',
    'oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME[:TAG]]. Layouts and OCI archives that are there get the image',
    'added; directories must be empty or not there. What is interrupted goes on where it was: what is not complete',
    'waits in --store, or beside the first DEST. Nothing half is under its own name at any time.',
  ],
  run,
};
