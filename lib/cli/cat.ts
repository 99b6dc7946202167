/** `seekable-oci cat`: the bytes of files of an image, fetching only the spans they lie in. */
import type { Command, Invocation } from './command.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', ...paths] = invocation.operands;
  await ImageSession.run(invocation, [operand], async session => {
    const { output, signal } = session;
    await session.read(operand, async image => {
      for (const path of paths) {
        for await (const chunk of image.createReadStream(path, { signal })) await output.write(chunk);
      }
    });
  });
}

export const cat: Command = {
  summary: 'Writes files of an image to standard output, fetching only the spans they lie in.',
  operands: ['IMAGE', 'PATH…'],
  options: {
    ...IMAGE_OPTIONS,
    json: { type: 'boolean', help: "without effect: the output is the files' bytes" },
  },
  notes: [
    'Links inside the image are followed. Every span is checked against its digest before a byte is',
    'printed. The first path that cannot be read ends it.',
  ],
  run,
};
