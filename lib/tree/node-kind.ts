/** What a node of a tree is, as a number for tables and as Linux has it in st_mode (inode(7)). */

/** `missing` is a name without a file: a hard link whose target is in no layer. */
export const KIND = {
  dir: 0,
  reg: 1,
  symlink: 2,
  char: 3,
  block: 4,
  fifo: 5,
  missing: 6,
} as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** The same as words. */
export type NodeKind = keyof typeof KIND;

export const KIND_NAMES: readonly NodeKind[] = ['dir', 'reg', 'symlink', 'char', 'block', 'fifo', 'missing'];

/** By kind the bits of S_IFMT; those of `missing` are none. */
const TYPE_BITS: readonly number[] = [0o040000, 0o100000, 0o120000, 0o020000, 0o060000, 0o010000, 0];

/** st_mode of a kind with permission bits. */
export function modeOf(kind: Kind, permissions: number): number {
  return (TYPE_BITS[kind] as number) | permissions;
}

/** The kind that st_mode tells; -1 for what is none. */
export function kindOf(mode: number): Kind | -1 {
  switch (mode & 0o170000) {
    case 0o100000:
      return KIND.reg;
    case 0o040000:
      return KIND.dir;
    case 0o120000:
      return KIND.symlink;
    case 0o020000:
      return KIND.char;
    case 0o060000:
      return KIND.block;
    case 0o010000:
      return KIND.fifo;
    case 0:
      return KIND.missing;
    default:
      return -1;
  }
}

/** What messages call them. */
export const KIND_TEXT: Readonly<Record<NodeKind, string>> = {
  dir: 'directory',
  reg: 'regular file',
  symlink: 'symbolic link',
  char: 'character device',
  block: 'block device',
  fifo: 'fifo',
  missing: 'broken hard link',
};

/** As Linux' makedev(3). Beyond what Linux has (12 and 20 bits) the number says nothing. */
export function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + ((minor >>> 8) & 0xfff) * 2 ** 20;
}
