/** `seekable-oci ls`: what is in a directory of an image, from its tables of contents alone. */
import type { Image } from '../index.js';
import { type Command, type Invocation, optionCount, UsageError } from './command.js';
import { writeEntries } from './entry-list.js';
import { type FileEntry, fileEntry } from './file-entry.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';

/** A directory is listed, anything else stands for itself; a link to a directory is one. */
async function isDirectory(image: Image, path: string, signal: AbortSignal): Promise<boolean> {
  const named = await image.lstat(path, { signal });
  if (!named.isSymbolicLink()) return named.isDirectory();
  const followed = await image.stat(path, { signal }).catch(() => undefined);
  return followed?.isDirectory() ?? false;
}

async function* entries(
  image: Image,
  path: string,
  { recursive, details }: { readonly recursive: boolean; readonly details: boolean },
  signal: AbortSignal,
): AsyncGenerator<FileEntry> {
  if (!(await isDirectory(image, path, signal))) {
    yield await fileEntry(image, path, Buffer.from(path), signal);
    return;
  }
  const directory = Buffer.from(path.endsWith('/') ? path : `${path}/`);
  for (const name of await image.readdir(path, { recursive, encoding: 'buffer', signal })) {
    yield details
      ? await fileEntry(image, Buffer.concat([directory, name]), name, signal)
      : { name, type: 'reg', stats: undefined, target: undefined };
  }
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', path = '/'] = invocation.operands;
  if (path === '') throw new UsageError('ls: expected a path, found an empty one');
  const { long, recursive } = invocation.options;
  await ImageSession.run(invocation, [operand], async session => {
    const { json, signal } = session;
    await session.read(
      operand,
      async image => {
        const details = json || long === true;
        const found = entries(image, path, { recursive: recursive === true, details }, signal);
        await writeEntries(found, { json, long: long === true }, session);
      },
      { onlyLayer: optionCount(invocation, 'layer') },
    );
  });
}

export const ls: Command = {
  summary: 'Lists a directory of an image, without fetching any file.',
  operands: ['IMAGE', '[PATH]'],
  options: {
    long: { type: 'boolean', short: 'l', help: 'mode, links, owner, size, time and link target as well' },
    all: {
      type: 'boolean',
      short: 'a',
      help: 'without effect: names that begin with a dot are always listed',
    },
    recursive: { type: 'boolean', short: 'R', help: 'also what is in directories below' },
    layer: { type: 'string', value: 'N', help: 'only this layer, the lowest being 0; whiteouts are shown' },
    ...IMAGE_OPTIONS,
  },
  notes: [
    'Names are sorted bytewise. Control characters are printed as \\xNN; --json has names as they are.',
    'A link to a directory is followed, other links are listed as such.',
  ],
  run,
};
