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
    await session.store?.collect({ signal: session.signal });
  });
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
    'oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME[:TAG]]. Layouts and OCI archives that are there get the image added. What is interrupted goes on where it was: what is not complete waits in --store,',
    'or beside the first DEST. Nothing half is under its own name at any time.',
  ],
  run,
};
