/** `seekable-oci ztoc ls`: the entries of a layer, from its ztoc alone. */
import type { TocEntry } from '../index.js';
import { type Command, type Invocation, ZTOC_DIGEST_OPTION } from './command.js';
import { modeText } from './mode-text.js';
import { printable } from './printable.js';
import { readZtoc } from './ztoc-input.js';

function longLine(entry: TocEntry): string {
  const owner = `${entry.uid}/${entry.gid}`.padEnd(11);
  const device = entry.type === 'char' || entry.type === 'block';
  const size = device ? `${entry.devmajor},${entry.devminor}` : `${entry.size}`;
  const fields = [modeText(entry.type, entry.mode), owner, size.padStart(12), entry.modTime];
  return `${fields.join(' ')} `;
}

function target(entry: TocEntry): string {
  if (entry.type === 'symlink') return ` -> ${entry.linkname}`;
  return entry.type === 'hardlink' ? ` link to ${entry.linkname}` : '';
}

function asJson(entry: TocEntry) {
  const { name, type, size, offset, mode, uid, gid, uname, gname, modTime, linkname } = entry;
  const { devmajor, devminor } = entry;
  return { name, type, size, offset, mode, uid, gid, uname, gname, modTime, linkname, devmajor, devminor };
}

async function run(invocation: Invocation): Promise<void> {
  const [path = ''] = invocation.operands;
  const { ztoc } = await readZtoc(path, invocation);
  if (invocation.options['json'] === true) {
    await invocation.output.writeJson(Array.from(ztoc.entries(), asJson));
    return;
  }
  const long = invocation.options['long'] === true;
  let page = '';
  for (const entry of ztoc.entries()) {
    page += long ? printable(longLine(entry) + entry.name + target(entry)) : printable(entry.name);
    page += '\n';
    if (page.length > 64 * 1024) {
      invocation.signal.throwIfAborted();
      await invocation.output.write(page);
      page = '';
    }
  }
  if (page !== '') await invocation.output.write(page);
}

export const ztocLs: Command = {
  summary: 'Lists the entries of a layer, in the order of the tar, from its ztoc alone.',
  operands: ['ZTOC'],
  options: {
    long: { type: 'boolean', short: 'l', help: 'mode, owner, size, time and link target as well' },
    ...ZTOC_DIGEST_OPTION,
    json: { type: 'boolean', help: 'print the entries as JSON' },
  },
  notes: ['Control characters in names are printed as \\xNN; --json has the names as they are.'],
  run,
};
