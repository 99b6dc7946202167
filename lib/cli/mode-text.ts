/** Type and permissions of a file as ls(1) shows them, e.g. `drwxr-xr-x`. */
import type { EntryType } from '../index.js';

const TYPE_LETTER: Readonly<Record<EntryType | 'missing', string>> = {
  hardlink: 'h',
  symlink: 'l',
  dir: 'd',
  reg: '-',
  char: 'c',
  block: 'b',
  fifo: 'p',
  missing: '?',
};

/** `mode` are the permission bits with 04000, 02000 and 01000. */
export function modeText(type: EntryType | 'missing', mode: number): string {
  const triple = (shift: number, specialBit: number, letter: string): string => {
    const special = (mode & specialBit) !== 0;
    const bits = mode >> shift;
    const execute = bits & 1 ? (special ? letter : 'x') : special ? letter.toUpperCase() : '-';
    return (bits & 4 ? 'r' : '-') + (bits & 2 ? 'w' : '-') + execute;
  };
  return TYPE_LETTER[type] + triple(6, 0o4000, 's') + triple(3, 0o2000, 's') + triple(0, 0o1000, 't');
}
