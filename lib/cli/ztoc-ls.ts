/** `seekable-oci ztoc ls`: the entries of a layer, from its ztoc alone. */
import type { TocEntry } from '../index.js';
import { type Command, type Invocation, ZTOC_DIGEST_OPTION } from './command.js';
import { printable } from './printable.js';
import { writeJson, writeOut } from './standard-output.js';
import { readZtoc } from './ztoc-input.js';

const TYPE_LETTER = {
  hardlink: 'h',
  symlink: 'l',
  dir: 'd',
  reg: '-',
  char: 'c',
  block: 'b',
  fifo: 'p',
} as const;

/** `rwxr-xr-x`, with set-id and sticky bits as ls(1) shows them. */
function permissions(mode: number): string {
  const triple = (shift: number, special: boolean, letter: string): string => {
    const bits = mode >> shift;
    const execute = bits & 1 ? (special ? letter : 'x') : special ? letter.toUpperCase() : '-';
    return (bits & 4 ? 'r' : '-') + (bits & 2 ? 'w' : '-') + execute;
  };
  return (
    triple(6, (mode & 0o4000) !== 0, 's') +
    triple(3, (mode & 0o2000) !== 0, 's') +
    triple(0, (mode & 0o1000) !== 0, 't')
  );
}

function longLine(entry: TocEntry): string {
  const owner = `${entry.uid}/${entry.gid}`.padEnd(11);
  const device = entry.type === 'char' || entry.type === 'block';
  const size = device ? `${entry.devmajor},${entry.devminor}` : `${entry.size}`;
  const fields = [TYPE_LETTER[entry.type] + permissions(entry.mode), owner, size.padStart(12), entry.modTime];
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
    await writeJson(Array.from(ztoc.entries(), asJson));
    return;
  }
  const long = invocation.options['long'] === true;
  let page = '';
  for (const entry of ztoc.entries()) {
    page += long ? printable(longLine(entry) + entry.name + target(entry)) : printable(entry.name);
    page += '\n';
    if (page.length > 64 * 1024) {
      invocation.signal.throwIfAborted();
      await writeOut(page);
      page = '';
    }
  }
  if (page !== '') await writeOut(page);
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
