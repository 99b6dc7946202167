/** `seekable-oci index create`: v1 indexes of an image, pushed beside it without changing it. */
import { publishIndex } from '../index.js';
import { BUILD_OPTIONS, buildOptions } from './build-options.js';
import { type Command, type Invocation, optionText, UsageError } from './command.js';
import { ImageSession } from './image-session.js';
import { createdAsJson, createdText, leftOutAsJson, platformText } from './index-summary.js';
import { reportLargeSpans } from './largest-span-text.js';

const EXISTING = ['warn', 'skip', 'allow'] as const;

function existingPolicy(invocation: Invocation): (typeof EXISTING)[number] | undefined {
  const text = optionText(invocation, 'existing');
  const policy = EXISTING.find(name => name === text);
  if (text !== undefined && policy === undefined) {
    throw new UsageError(`expected warn, skip or allow for --existing, received '${text}'`);
  }
  return policy;
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = ''] = invocation.operands;
  const existing = existingPolicy(invocation);
  await ImageSession.run(invocation, [operand], async session => {
    const { output, json, signal } = session;
    const options = await buildOptions(session);
    const dryRun = invocation.options['dry-run'] === true;
    const result = await publishIndex(session.openKept(operand), { ...options, existing, signal, dryRun });
    reportLargeSpans(session.reporter, result.indexes);
    if (json) {
      const indexes = result.indexes.map(index => ({ ...createdAsJson(index), outcome: index.outcome }));
      const skipped = result.skipped.map(({ image, existing }) => ({
        platform: platformText(image),
        image: image.descriptor.digest,
        existing: existing.map(({ digest }) => digest),
      }));
      await output.writeJson({ indexes, skipped, ...leftOutAsJson(result) });
      return;
    }
    for (const index of result.indexes) await output.write(createdText(index, index.outcome));
    for (const { image, existing } of result.skipped) {
      await output.write(`${existing[0]?.digest}  ${platformText(image)}  is there already  skipped\n`);
    }
  });
}

export const indexCreate: Command = {
  summary: 'Builds the SOCI index (v1) of each platform of an image and stores it beside the image.',
  operands: ['IMAGE'],
  options: {
    ...BUILD_OPTIONS,
    existing: {
      type: 'string',
      value: 'warn|skip|allow',
      help: 'other indexes there: say so, push nothing, or do not look (default warn)',
    },
  },
  notes: [
    'The image keeps its digest: the index refers to it. Copying the image leaves the index behind;',
    "see 'index copy', or 'convert' for indexes that are part of the image.",
  ],
  run,
};
