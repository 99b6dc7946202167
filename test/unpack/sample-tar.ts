/** Tars of a few lines. */
import {
  encodeArchiveEnd,
  encodeMemberHeader,
  encodePadding,
  type TarMember,
} from '../../lib/tar/header-writer.js';

export interface SampleMember extends Partial<Omit<TarMember, 'name' | 'target'>> {
  /** Byte strings. */
  readonly name: string;
  readonly target?: string;
  readonly body?: string | Uint8Array;
}

/** 'dir/', 'file', 'link -> target', 'name = hard link', 'device c1,3', 'fifo |'. */
export type Line = string | SampleMember;

export function memberOf(line: Line): SampleMember {
  if (typeof line !== 'string') return line;
  const [, name = '', arrow, target = ''] = /^(.*?)(?: (->|=) (.*))?$/.exec(line) ?? [];
  if (arrow !== undefined) return { name, type: arrow === '=' ? 'hardlink' : 'symlink', target };
  const [, device, major, minor] = /^(.*) c(\d+),(\d+)$/.exec(line) ?? [];
  if (device !== undefined) return { name: device, type: 'char', device: [Number(major), Number(minor)] };
  if (name.endsWith(' |')) return { name: name.slice(0, -2), type: 'fifo' };
  return { name, type: name.endsWith('/') ? 'dir' : 'reg' };
}

/** @param body of files that have none of their own */
export function tarOf(lines: readonly Line[], body = ''): Uint8Array {
  const parts = lines.flatMap(line => {
    const member = memberOf(line);
    const { type = 'reg', name, target, body: own = body } = member;
    const data = type === 'reg' ? Buffer.from(own as string) : Buffer.alloc(0);
    const header = encodeMemberHeader({
      mode: type === 'dir' ? 0o755 : 0o644,
      uid: 0,
      gid: 0,
      mtime: 1_700_000_000,
      nanoseconds: 0,
      xattrs: new Map(),
      ...member,
      type,
      name: Buffer.from(name, 'latin1'),
      target: target === undefined ? undefined : Buffer.from(target, 'latin1'),
      size: data.length,
    });
    return [header, data, encodePadding(data.length)];
  });
  return Buffer.concat([...parts, encodeArchiveEnd()]);
}
