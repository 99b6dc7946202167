/** `seekable-oci ls`: what is in a directory of an image, from its tables of contents alone. */
import type { Image } from '../index.js';
import { type Command, type Invocation, optionCount, UsageError } from './command.js';
import { entryAsJson, type FileEntry, fileEntry, longLine } from './file-entry.js';
import { IMAGE_OPTIONS, ImageSession } from './image-session.js';
import { printableName } from './printable.js';
import { writeOut } from './standard-output.js';

const PAGE = 64 * 1024;

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
        const options = { recursive: recursive === true, details: json || long === true };
        let page = json ? '[' : '';
        let separator = '\n';
        for await (const entry of entries(image, path, options, signal)) {
          if (json) page += `${separator}  ${JSON.stringify(entryAsJson(entry))}`;
          else page += `${long === true ? longLine(entry) : printableName(entry.name)}\n`;
          separator = ',\n';
          if (page.length > PAGE) {
            signal.throwIfAborted();
            await writeOut(page);
            page = '';
          }
        }
        await writeOut(json ? `${page}\n]\n` : page);
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
