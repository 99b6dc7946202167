/** `seekable-oci convert`: an image with its SOCI indexes (v2) inside. */
import { convertImage } from '../index.js';
import { BUILD_OPTIONS, buildOptions } from './build-options.js';
import type { Command, Invocation } from './command.js';
import { ImageSession } from './image-session.js';
import { createdAsJson, createdText, leftOutAsJson } from './index-summary.js';
import { reportLargeSpans } from './largest-span-text.js';

async function run(invocation: Invocation): Promise<void> {
  const [from = '', to = ''] = invocation.operands;
  await ImageSession.run(invocation, [from, to], async session => {
    const dryRun = invocation.options['dry-run'] === true;
    const options = { ...(await buildOptions(session)), dryRun };
    const result = await convertImage(session.open(from), session.open(to), options);
    const { digest, size } = result.descriptor;
    reportLargeSpans(session.reporter, result.indexes);
    if (session.json) {
      const indexes = result.indexes.map(createdAsJson);
      await session.output.writeJson({ digest, size, written: !dryRun, indexes, ...leftOutAsJson(result) });
      return;
    }
    await session.output.write(`${digest}  the converted image${dryRun ? ', not written' : ''}\n`);
    for (const index of result.indexes) await session.output.write(createdText(index, 'in the image'));
  });
}

export const convert: Command = {
  summary: 'Copies an image and adds SOCI indexes (v2) that are part of it and are copied with it.',
  operands: ['SRC', 'DST'],
  options: BUILD_OPTIONS,
  notes: [
    'SRC and DST are each an IMAGE; DST has a tag, or none in a layout. The result has a digest of its own;',
    'layers are the same. --user and --password-stdin are for the registry of DST, if that is one.',
    'Only the platforms chosen get an index; the others are copied as they are.',
  ],
  run,
};
