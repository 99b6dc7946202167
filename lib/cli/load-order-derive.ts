/** `seekable-oci load-order derive`: a load order of an image that nobody has run. */
import { deriveLoadOrder } from '../index.js';
import type { Command, Invocation } from './command.js';
import { counted } from './counted.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { DOCUMENT_OPTIONS, WORKLOAD_OPTION, workloadOption, writeDocument } from './load-order-document.js';
import { printable } from './printable.js';

/** Of all that is missing, so many are spoken of. */
const MAX_MISSING = 5;

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', ...words] = invocation.operands;
  const workload = workloadOption(invocation);
  const command = words.length === 0 ? undefined : words;
  await ImageSession.run(invocation, [operand], async session => {
    const { signal, reporter } = session;
    await session.read(operand, async image => {
      const { order, missing } = await deriveLoadOrder(image, { workload, command, signal });
      for (const { name, neededBy } of missing.slice(0, MAX_MISSING)) {
        reporter.line(`${printable(name)}, needed by ${printable(neededBy)}, is not in the image`);
      }
      const others = missing.length - MAX_MISSING;
      if (others > 0) reporter.line(`and ${counted(others, 'more file')} of this kind`);
      await writeDocument(invocation, order);
    });
  });
}

export const loadOrderDerive: Command = {
  summary: 'Makes a load order of what starting an image reads, without running it.',
  operands: ['IMAGE', '[COMMAND]…'],
  options: { ...DOCUMENT_OPTIONS, ...WORKLOAD_OPTION, ...IMAGE_OPTIONS },
  notes: [
    "COMMAND, behind -- if it has options, takes the place of the image's entrypoint and command. Programs,",
    'scripts, shared libraries and what Python and Node.js read when they start are found as they find them;',
    'what a program opens by its own logic is not known: record a run for that.',
  ],
  run,
};
