/** `seekable-oci stat`: all that an image says about one file. */
import type { Command, Invocation } from './command.js';
import { bytesAsJson, deviceText, entryAsJson, fileEntry, timeText } from './file-entry.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { modeText } from './mode-text.js';
import { printable, printableName } from './printable.js';

const TYPE_TEXT = {
  dir: 'directory',
  reg: 'regular file',
  symlink: 'symbolic link',
  char: 'character device',
  block: 'block device',
  fifo: 'fifo',
} as const;

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', path = ''] = invocation.operands;
  const follow = invocation.options['follow'] === true;
  await ImageSession.run(invocation, [operand], async session => {
    const { output, json, signal } = session;
    await session.read(operand, async image => {
      const real = follow ? await image.realpath(path, { encoding: 'buffer', signal }) : Buffer.from(path);
      const stats = await image.lstat(real, { signal });
      const entry = await fileEntry(image, real, real, signal);
      const attributes = await image.xattrs(real, { followSymlinks: false, signal });
      const place = stats.isFile() ? await image.locate(real, { signal }) : undefined;
      const layer = place && { position: place.layer, digest: place.layerDigest };
      if (json) {
        const xattrs = [...attributes].map(([name, value]) => ({ name, ...bytesAsJson('value', value) }));
        await output.writeJson({ ...entryAsJson(entry), ino: stats.ino, layer, xattrs });
        return;
      }
      const { type, target } = entry;
      if (type === 'missing') return;
      const permissions = stats.mode & 0o7777;
      const device = type === 'char' || type === 'block' ? ` ${deviceText(stats.rdev)}` : '';
      const lines = [
        `path      ${printableName(real)}${target === undefined ? '' : ` -> ${printableName(target)}`}`,
        `type      ${TYPE_TEXT[type]}${device}`,
        `size      ${stats.size} bytes`,
        `mode      ${permissions.toString(8).padStart(4, '0')} ${modeText(type, permissions)}`,
        `owner     ${stats.uid}/${stats.gid}`,
        `links     ${stats.nlink}`,
        `modified  ${timeText(stats.mtimeMs)}`,
        ...(layer === undefined ? [] : [`layer     ${layer.position} ${layer.digest}`]),
        ...[...attributes].map(([name, value]) => `xattr     ${printable(name)} ${printableName(value)}`),
      ];
      await output.write(`${lines.join('\n')}\n`);
    });
  });
}

export const stat: Command = {
  summary: 'Prints what an image says about one file, without fetching it.',
  operands: ['IMAGE', 'PATH'],
  options: {
    follow: { type: 'boolean', short: 'L', help: 'follow a symbolic link at the end of PATH' },
    ...IMAGE_OPTIONS,
  },
  run,
};
