/** `seekable-oci find`: names below a directory of an image that fit, as find(1) has them. */
import { nameMatcher } from '../image/glob.js';
import type { Image } from '../index.js';
import { type Command, type Invocation, optionCount, optionText, parseBytes, UsageError } from './command.js';
import { writeEntries } from './entry-list.js';
import { type FileEntry, type FileType, fileEntry } from './file-entry.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';

/** The letters of find(1). */
const TYPES: Readonly<Record<string, FileType>> = {
  f: 'reg',
  d: 'dir',
  l: 'symlink',
  c: 'char',
  b: 'block',
  p: 'fifo',
};

type Test = (entry: FileEntry) => boolean;

/** @throws UsageError */
function tests(invocation: Invocation): Test[] {
  const chosen: Test[] = [];
  const name = optionText(invocation, 'name');
  if (name !== undefined) {
    const matches = nameMatcher(name);
    chosen.push(entry => matches(Buffer.from(entry.name).toString().split('/').at(-1) ?? ''));
  }
  const letter = optionText(invocation, 'type');
  if (letter !== undefined) {
    const type = Object.hasOwn(TYPES, letter) ? TYPES[letter] : undefined;
    if (type === undefined) {
      throw new UsageError(
        `expected one of ${Object.keys(TYPES).join(', ')} for --type, received '${letter}'`,
      );
    }
    chosen.push(entry => entry.type === type);
  }
  const size = optionText(invocation, 'size');
  if (size !== undefined) chosen.push(sizeTest(size));
  return chosen;
}

/** `+SIZE` is more, `-SIZE` less, as find(1) has it; but bytes, not blocks. */
function sizeTest(text: string): Test {
  const [, sign = '', size = ''] = /^([+-]?)(.*)$/.exec(text) ?? [];
  const bytes = parseBytes(size);
  if (bytes === undefined) {
    throw new UsageError(`expected a size (+1MiB is more, -1MiB is less) for --size, received '${text}'`);
  }
  return ({ type, stats }) => {
    if (type !== 'reg' || stats === undefined) return false;
    return sign === '+' ? stats.size > bytes : sign === '-' ? stats.size < bytes : stats.size === bytes;
  };
}

/** `path` itself, then all that is below it; names begin with `path`. */
async function* entriesBelow(image: Image, path: string, signal: AbortSignal): AsyncGenerator<FileEntry> {
  const start = await fileEntry(image, path, Buffer.from(path), signal);
  // A path that is not there is an error; a hard link to nothing found on the way is an entry.
  if (start.type === 'missing') await image.lstat(path, { signal });
  yield start;
  const directory = Buffer.from(path.endsWith('/') ? path : `${path}/`);
  if (start.type !== 'dir') return;
  for (const name of await image.readdir(path, { recursive: true, encoding: 'buffer', signal })) {
    const below = Buffer.concat([directory, name]);
    yield await fileEntry(image, below, below, signal);
  }
}

async function* fitting(
  image: Image,
  path: string,
  fits: readonly Test[],
  signal: AbortSignal,
): AsyncGenerator<FileEntry> {
  for await (const entry of entriesBelow(image, path, signal)) {
    if (fits.every(test => test(entry))) yield entry;
  }
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', path = '/'] = invocation.operands;
  if (path === '') throw new UsageError('find: expected a path, found an empty one');
  const fits = tests(invocation);
  const onlyLayer = optionCount(invocation, 'layer');
  const long = invocation.options['long'] === true;
  await ImageSession.run(invocation, [operand], async session => {
    const { json, signal } = session;
    const search = async (image: Image): Promise<void> => {
      await writeEntries(fitting(image, path, fits, signal), { json, long }, session);
    };
    await session.read(operand, search, { onlyLayer });
  });
}

export const find: Command = {
  summary: 'Finds files of an image by name, type and size, without fetching any of them.',
  operands: ['IMAGE', '[PATH]'],
  options: {
    name: {
      type: 'string',
      value: 'GLOB',
      help: 'its last part matches: *, ?, [a-z], {a,b}; a dot is no exception',
    },
    type: {
      type: 'string',
      value: 'T',
      help: 'f file, d directory, l symbolic link, c and b device, p fifo',
    },
    size: { type: 'string', value: '[+-]SIZE', help: 'files of this size; +SIZE more, -SIZE less than it' },
    long: { type: 'boolean', short: 'l', help: 'mode, links, owner, size, time and link target as well' },
    layer: { type: 'string', value: 'N', help: 'only this layer, the lowest being 0; whiteouts are shown' },
    ...IMAGE_OPTIONS,
  },
  notes: [
    'All that is asked for must be true. One dash does as well: -name, -type, -size. PATH is / by default.',
  ],
  run,
};
