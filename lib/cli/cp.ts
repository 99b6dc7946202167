/** `seekable-oci cp`: files and trees out of an image onto this machine. */
import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { byteText } from './byte-text.js';
import { type Command, type Invocation, UsageError } from './command.js';
import { ImageCopy, type SkippedFile } from './image-copy.js';
import { splitImagePath } from './image-path.js';
import { IMAGE_OPTIONS, ImageSession } from './image-session.js';
import { printable } from './printable.js';
import { writeJson, writeOut } from './standard-output.js';
import { childPath } from './tree-writer.js';

/** As cp(1): into a directory that exists, else under the name given. Only the name given may be a link. */
async function placeFor(path: string, destination: string): Promise<Buffer> {
  const existing = await stat(destination).catch(() => undefined);
  if (existing === undefined) return Buffer.from(resolve(destination));
  const place = Buffer.from(await realpath(destination));
  if (existing.isDirectory()) {
    const name = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
    // Of `/`, `/etc/.` and `..` it is the content that goes there.
    return ['', '.', '..'].includes(name) ? place : childPath(place, Buffer.from(name));
  }
  if (!existing.isFile()) throw new UsageError(`cp: ${destination} is neither a file nor a directory`);
  return place;
}

function counted(count: number, noun: string): string {
  const plural = noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${count} ${count === 1 ? noun : plural}`;
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', destination = ''] = invocation.operands;
  if (destination === '') throw new UsageError('cp: expected DEST, found an empty path');
  const { image: name, path } = splitImagePath(operand);
  await ImageSession.run(invocation, [name], async session => {
    const { json, reporter, signal } = session;
    await session.read(name, async image => {
      const skipped: SkippedFile[] = [];
      const progress = {
        bytes: (done: number, total: number) => reporter.progress('copy', 'copying', done, total),
        skipped: (file: SkippedFile) => {
          skipped.push(file);
          reporter.line(`skipped ${file.path}: ${file.reason}`);
        },
      };
      const copy = new ImageCopy(image, progress, signal);
      const target = await placeFor(path, destination);
      await copy.run(path, target);
      reporter.endBar('copy');
      const { files, directories, links, bytes } = copy.counts;
      const { requests, fetchedBytes } = image.stats;
      if (json) {
        const result = { destination: target.toString(), ...copy.counts, skipped, requests, fetchedBytes };
        await writeJson(result);
        return;
      }
      const counts = [counted(files, 'file'), counted(directories, 'directory'), counted(links, 'link')];
      await writeOut(
        `${printable(target.toString())}: ${counts.join(', ')}, ${byteText(bytes)}; ` +
          `${byteText(fetchedBytes)} fetched in ${counted(requests, 'request')}\n`,
      );
    });
  });
}

export const cp: Command = {
  summary: 'Copies a file or a directory with all that is in it out of an image.',
  operands: ['IMAGE:PATH', 'DEST'],
  options: IMAGE_OPTIONS,
  notes: [
    'PATH begins with /. Into DEST if that is a directory, else under that name; /PATH/. is the content alone.',
    'Modes, times, hard and symbolic links are kept; owners and set-ID bits are not; devices and fifos are',
    'skipped with a note. Nothing is ever written outside of DEST: symbolic links there are not followed.',
  ],
  run,
};
