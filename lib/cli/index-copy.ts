/** `seekable-oci index copy` and `index push`: v1 indexes to where their image was copied. */
import { copyIndex } from '../index.js';
import { type Command, type Invocation, UsageError } from './command.js';
import { ALL_PLATFORMS_OPTIONS } from './image-option-table.js';
import { ImageSession, shortDigest } from './image-session.js';
import { reportIndexEvents } from './index-events.js';
import { platformText } from './index-summary.js';

async function run(invocation: Invocation): Promise<void> {
  const [from = '', to = ''] = invocation.operands;
  await ImageSession.run(invocation, [from, to], async session => {
    const { output, json, signal, platforms, index, reporter } = session;
    const { copied, without, refused } = await copyIndex(session.open(from), session.open(to), {
      platforms,
      index,
      signal,
      onEvent: reportIndexEvents(reporter),
    });
    for (const { digest, error } of refused) {
      reporter.line(`index ${shortDigest(digest)} is not copied: ${(error as Error).message}`);
    }
    for (const image of without) {
      reporter.line(
        `image ${shortDigest(image.descriptor.digest)} (${platformText(image)}) has no index there`,
      );
    }
    if (json) {
      await output.writeJson({
        copied: copied.map(({ descriptor, image }) => ({
          digest: descriptor.digest,
          platform: platformText(image),
          image: image.descriptor.digest,
        })),
        without: without.map(image => ({
          platform: platformText(image),
          image: image.descriptor.digest,
        })),
        refused: refused.map(({ digest, error }) => ({ digest, message: (error as Error).message })),
      });
      return;
    }
    for (const { descriptor, image } of copied) {
      await output.write(`${descriptor.digest}  ${platformText(image)}  copied\n`);
    }
  });
}

async function push(invocation: Invocation): Promise<void> {
  const [from = '', to = ''] = invocation.operands;
  if (!/^oci(-archive)?:/.test(from) || /^oci(-archive)?:/.test(to)) {
    throw new UsageError(
      'index push: expected oci:DIR or oci-archive:FILE, and a registry/repo:tag to push to',
    );
  }
  await run(invocation);
}

const options = {
  ...ALL_PLATFORMS_OPTIONS,
  index: { type: 'string', value: 'DIGEST', help: 'only this index (default: all that the image has)' },
} as const;

export const indexCopy: Command = {
  summary: 'Copies the SOCI indexes (v1) of an image to where the image was copied.',
  operands: ['SRC', 'DST'],
  options,
  notes: [
    'DST is the image, already there, with the same manifests. --user and --password-stdin are for the',
    'registry of DST. Indexes of v2 are part of their image, and copied with it.',
  ],
  run,
};

export const indexPush: Command = {
  summary: 'Pushes the SOCI indexes (v1) that were made in a layout to the image in a registry.',
  operands: ['LAYOUT', 'REF'],
  options,
  notes: ['LAYOUT is oci:DIR or oci-archive:FILE. REF is the image, already in the registry.'],
  run: push,
};
