/** `seekable-oci cp`: files and trees out of an image onto this machine. */
import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { imageTar } from '../image/image-tar.js';
import type { Image } from '../index.js';
import { byteText } from './byte-text.js';
import { type Command, type Invocation, UsageError } from './command.js';
import { counted } from './counted.js';
import { ImageCopy, type SkippedFile } from './image-copy.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { splitImagePath } from './image-path.js';
import { ImageSession } from './image-session.js';
import { printable } from './printable.js';
import { childPath } from './tree-writer.js';

/** The last part of PATH, under which it goes into a directory; '' where the content alone is meant. */
function lastName(path: string): string {
  const name = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
  return ['', '.', '..'].includes(name) ? '' : name;
}

/** As cp(1): into a directory that exists, else under the name given. DEST itself is no link that is followed. */
async function placeFor(path: string, destination: string): Promise<Buffer> {
  const existing = await stat(destination).catch(() => undefined);
  const named = await lstat(destination).catch(() => undefined);
  if (named?.isSymbolicLink()) {
    if (existing?.isDirectory()) {
      throw new UsageError(
        `cp: ${destination} is a symbolic link to a directory; write ${destination}/ to copy into that`,
      );
    }
    // Like files, links give way.
    return childPath(Buffer.from(await realpath(dirname(destination))), Buffer.from(basename(destination)));
  }
  if (existing === undefined) return Buffer.from(resolve(destination));
  const place = Buffer.from(await realpath(destination));
  if (existing.isDirectory()) {
    const name = lastName(path);
    return name === '' ? place : childPath(place, Buffer.from(name));
  }
  if (!existing.isFile()) throw new UsageError(`cp: ${destination} is neither a file nor a directory`);
  return place;
}

/** `cp IMAGE:PATH -`, as docker has it. */
async function writeTar(image: Image, path: string, { output, signal }: ImageSession): Promise<void> {
  for await (const chunk of imageTar(image, path, Buffer.from(lastName(path)), { signal }))
    await output.write(chunk);
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', destination = ''] = invocation.operands;
  if (destination === '') throw new UsageError('cp: expected DEST, found an empty path');
  const { image: name, path } = splitImagePath(operand);
  const options = {
    preserveSetid: invocation.options['preserve-setid'] === true,
    sameOwner: invocation.options['same-owner'] === true,
  };
  await ImageSession.run(invocation, [name], async session => {
    const { output, json, reporter, signal } = session;
    await session.read(name, async image => {
      if (destination === '-') {
        await writeTar(image, path, session);
        return;
      }
      const skipped: SkippedFile[] = [];
      const progress = {
        bytes: (done: number, total: number) => reporter.progress('copy', 'copying', done, total),
        skipped: (file: SkippedFile) => {
          skipped.push(file);
          reporter.line(`skipped ${file.path}: ${file.reason}`);
        },
      };
      const copy = new ImageCopy(image, progress, options, signal);
      const target = await placeFor(path, destination);
      await copy.run(path, target);
      reporter.endBar('copy');
      const { files, directories, links, bytes, withoutSetid } = copy.counts;
      if (withoutSetid > 0) {
        reporter.line(
          `${counted(withoutSetid, 'file')} lost set-user-ID or set-group-ID, which would mean another user here: ` +
            '--preserve-setid keeps them, --same-owner keeps owners too',
        );
      }
      const { requests, fetchedBytes } = image.stats;
      if (json) {
        const result = { destination: target.toString(), ...copy.counts, skipped, requests, fetchedBytes };
        await output.writeJson(result);
        return;
      }
      const counts = [counted(files, 'file'), counted(directories, 'directory'), counted(links, 'link')];
      await output.write(
        `${printable(target.toString())}: ${counts.join(', ')}, ${byteText(bytes)}; ` +
          `${byteText(fetchedBytes)} fetched in ${counted(requests, 'request')}\n`,
      );
    });
  });
}

export const cp: Command = {
  summary: 'Copies a file or a directory with all that is in it out of an image.',
  operands: ['IMAGE:PATH', 'DEST'],
  options: {
    'preserve-setid': { type: 'boolean', help: 'keep set-user-ID and set-group-ID bits' },
    'same-owner': { type: 'boolean', help: 'give files their owners, and so these bits (needs root)' },
    ...IMAGE_OPTIONS,
  },
  notes: [
    'PATH begins with /. Into DEST if that is a directory, else under that name; /PATH/. is the content alone.',
    'Modes, times, hard and symbolic links are kept; owners and set-ID bits only if that is asked for; devices',
    'and fifos are skipped with a note. Nothing is ever written outside of DEST: symbolic links there are not',
    'followed, nor is DEST itself; DEST/ is the directory that a link leads to. DEST - is a tar on standard',
    'output, with owners, set-ID bits, devices and extended attributes.',
  ],
  run,
};
