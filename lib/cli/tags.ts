/** `seekable-oci tags`: the tags of a repository, a layout or an archive. */
import type { Command, Invocation } from './command.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { printable } from './printable.js';

async function run(invocation: Invocation): Promise<void> {
  const [operand = ''] = invocation.operands;
  await ImageSession.run(invocation, [operand], async session => {
    const list = await session.open(operand).repository.listTags({ signal: session.signal });
    if (session.json) await session.output.writeJson(list);
    else await session.output.write(list.map(tag => `${printable(tag)}\n`).join(''));
  });
}

export const tags: Command = {
  summary: 'Lists the tags of a repository, sorted.',
  operands: ['REPO'],
  options: IMAGE_OPTIONS,
  notes: [
    'REPO is registry/repo, oci:DIR, oci-archive:FILE or docker-archive:FILE; a tag behind it is of no',
    'importance.',
  ],
  run,
};
