/**
 * What runtimes leave on disk of the attributes that headers state: links 0777,
 * no xattrs of the kernel's own, times that a nanosecond counter from 1970 can
 * say, and no id 2^32-1. Trees show it so, and unpacking writes it so.
 */
import type { PaxPair } from '../tar/entry.js';

/** Byte strings. */
export type Xattr = readonly [name: string, value: string];

/** As containerd makes the directories that a layer leaves out. */
export const IMPLIED_MODE = 0o755;
export const LINK_MODE = 0o777;

/** What overlayfs reads off a directory that hides what is below it: mounted by root, and by a user of his own. */
export const OPAQUE_XATTRS = {
  trusted: ['trusted.overlay.opaque', 'y'],
  user: ['user.overlay.opaque', 'y'],
} as const satisfies Readonly<Record<string, Xattr>>;

const XATTR = 'SCHILY.xattr.';
/** Set by the kernel's own file systems, overlayfs among them: containerd does not take them from layers. */
const KERNEL_XATTR = 'trusted.';
/** As containerd bounds times (bound-time.go): what is not within 2^63 ns from 1970 is 1970. */
const MAX_SECONDS = (2 ** 63 - 1) / 1e9;
/** To chown(2): leave the owner as it is, and that is root. */
const NO_ID = 2 ** 32 - 1;

/** Whether a time is left as it is; another one becomes 1970. */
export function isUnpackedTime(seconds: number): boolean {
  return seconds >= 0 && seconds <= MAX_SECONDS;
}

export function unpackedId(id: number): number {
  return id === NO_ID ? 0 : id;
}

/** The xattrs that PAX records state; the last of a name counts. */
export function xattrsOf(pax: readonly PaxPair[], which: 'all' | 'unpacked'): Map<string, string> {
  const xattrs = new Map<string, string>();
  for (const [key, value] of pax) {
    if (key.length <= XATTR.length || !key.startsWith(XATTR)) continue;
    const name = key.slice(XATTR.length);
    if (which === 'all' || !name.startsWith(KERNEL_XATTR)) xattrs.set(name, value);
  }
  return xattrs;
}
