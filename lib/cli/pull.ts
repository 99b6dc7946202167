/** `seekable-oci pull`: all of an image, to layouts and archives on this machine. */
import type { PulledBlobReport, PullProgress, PullResult } from '../index.js';
import { pullImage } from '../pull/pull-image.js';
import { byteText } from './byte-text.js';
import { type Command, type Invocation, optionNumber, optionText, UsageError } from './command.js';
import { counted } from './counted.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession, shortDigest } from './image-session.js';
import type { Reporter } from './reporter.js';

const TOTAL = 'total';

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', ...targets] = invocation.operands;
  const limits = limitsOf(invocation);
  const { referrers, sync, offline } = invocation.options;
  await ImageSession.run(invocation, [operand], async session => {
    const result = await pullImage(operand, {
      targets,
      platform: session.onePlatform,
      referrers: referrers === true,
      sync: sync === true,
      store: session.store,
      offline: offline === true,
      limits,
      transport: session.transport,
      signal: session.signal,
      onProgress: progressOf(session.reporter),
    });
    if (session.json) await session.output.writeJson(result);
    else await session.output.write(resultText(result));
  });
}

/** @throws UsageError */
function limitsOf(invocation: Invocation) {
  return {
    maxConcurrentDownloads: optionNumber(invocation, 'max-concurrent-downloads', /^-?\d{1,9}$/),
    maxConcurrentDownloadsPerImage: optionNumber(
      invocation,
      'max-concurrent-downloads-per-image',
      /^-?\d{1,9}$/,
    ),
    concurrentDownloadChunkSize: chunkSize(optionText(invocation, 'concurrent-download-chunk-size')),
  };
}

/** Powers of 1024, as the configuration file has them: `8mb` there is 8 MiB here. */
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** An empty one is all of the layer. @throws UsageError */
function chunkSize(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (text === '') return 0;
  const [, digits, unit = ''] = /^(\d{1,15}(?:\.\d{1,9})?) *([kmg]?)i?b?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new UsageError(
    `expected a size (8mb, 512kb, 0 for all of a layer) for --concurrent-download-chunk-size, received '${text}'`,
  );
}

function progressOf(reporter: Reporter): (progress: PullProgress) => void {
  return ({ layer, digest, bytes, size, totalBytes, totalSize }) => {
    const label = layer === undefined ? shortDigest(digest) : `layer ${layer} ${shortDigest(digest)}`;
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
    ...targets.map(
      ({ target, outcome }) => `${digest}  ${target}${outcome === 'unchanged' ? ', as it was' : ''}\n`,
    ),
  ].join('');
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

/** Blobs are taken as they are: nothing is read by an index, or put together. */
const { index: _index, semantics: _semantics, ...SOURCE_OPTIONS } = IMAGE_OPTIONS;

export const pull: Command = {
  summary: 'Fetches all of an image, once, to any number of layouts and archives on this machine.',
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
    'max-concurrent-downloads': {
      type: 'string',
      value: 'N',
      help: 'requests for blobs under way; 0 and less: no limit (default)',
    },
    'max-concurrent-downloads-per-image': {
      type: 'string',
      value: 'N',
      help: 'the same, of one image (default 3)',
    },
    'concurrent-download-chunk-size': {
      type: 'string',
      value: 'SIZE',
      help: 'ask for layers in pieces of SIZE (e.g. 8mb); default 0: in one',
    },
    ...SOURCE_OPTIONS,
    platform: {
      type: 'string',
      multiple: true,
      value: 'P',
      help: "os/arch[/variant], or 'all' (default: the host's, else the only one)",
    },
  },
  notes: [
    'DEST is oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME[:TAG]]. Layouts and OCI archives that',
    'are there get the image added. What is interrupted goes on where it was: what is not complete waits in --store,',
    'or beside the first DEST. Nothing half is under its own name at any time.',
  ],
  run,
};
