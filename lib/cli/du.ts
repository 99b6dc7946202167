/** `seekable-oci du`: how much the directories of an image hold, from its tables of contents alone. */
import { directoryUsage } from '../image/directory-usage.js';
import { byteText } from './byte-text.js';
import { type Command, type Invocation, UsageError } from './command.js';
import { bytesAsJson } from './file-entry.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { printableName } from './printable.js';

function joined(start: Buffer, path: Buffer): Buffer {
  if (path.length === 0) return start;
  return Buffer.concat(start.at(-1) === 0x2f ? [start, path] : [start, Buffer.from('/'), path]);
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', path = '/'] = invocation.operands;
  if (path === '') throw new UsageError('du: expected a path, found an empty one');
  const { summarize, human } = invocation.options;
  await ImageSession.run(invocation, [operand], async session => {
    const { output, json, signal } = session;
    await session.read(operand, async image => {
      const stats = await image.stat(path, { signal });
      const start = Buffer.from(path);
      const rows: { path: Buffer; bytes: number; files: number }[] = [];
      if (!stats.isDirectory()) rows.push({ path: start, bytes: stats.size, files: 1 });
      else {
        const tree = await image.tree({ signal });
        for await (const usage of directoryUsage(tree, stats.ino, { signal })) {
          if (summarize === true && usage.path.length > 0) continue;
          rows.push({ ...usage, path: joined(start, usage.path) });
        }
      }
      if (json) {
        await output.writeJson(
          rows.map(row => ({ ...bytesAsJson('path', row.path), bytes: row.bytes, files: row.files })),
        );
        return;
      }
      const size = (bytes: number) => (human === true ? byteText(bytes) : String(bytes));
      await output.write(rows.map(row => `${size(row.bytes)}\t${printableName(row.path)}\n`).join(''));
    });
  });
}

export const du: Command = {
  summary: 'Adds up the files below each directory of an image, without fetching any of them.',
  operands: ['IMAGE', '[PATH]'],
  options: {
    human: { type: 'boolean', short: 'h', help: 'KiB, MiB, GiB' },
    summarize: { type: 'boolean', short: 's', help: 'PATH alone' },
    ...IMAGE_OPTIONS,
  },
  notes: [
    'Sizes are bytes of regular files (du --apparent-size), holes included; hard links count once. What a',
    "directory holds is not what the image's layers weigh: those are compressed, see 'inspect'.",
  ],
  run,
};
