/**
 * Writes tar headers field by field, wrong ones included: what packers never
 * write is most of what has to be tested.
 */
export interface HeaderSpec {
  name?: string | Uint8Array;
  mode?: string | Uint8Array;
  uid?: string | Uint8Array;
  gid?: string | Uint8Array;
  size?: number | string | Uint8Array;
  mtime?: string | Uint8Array;
  type?: string;
  linkname?: string | Uint8Array;
  magic?: string;
  uname?: string | Uint8Array;
  gname?: string | Uint8Array;
  devmajor?: string | Uint8Array;
  devminor?: string | Uint8Array;
  prefix?: string | Uint8Array;
  /** Raw bytes written last, before the checksum: [offset, bytes]. */
  raw?: readonly (readonly [number, string])[];
  checksum?: 'unsigned' | 'signed' | string;
}

export const USTAR = 'ustar\x0000';
export const GNU = 'ustar  \0';
export const V7 = '\0\0\0\0\0\0\0\0';

export function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** A number as GNU tar writes it when octal digits do not suffice. */
export function base256(value: bigint, width: number): Uint8Array {
  const out = new Uint8Array(width);
  let rest = BigInt.asUintN(8 * width, value);
  for (let i = width - 1; i >= 0; i -= 1) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  out[0] = (out[0] as number) | 0x80;
  return out;
}

export function header(spec: HeaderSpec = {}): Uint8Array {
  const block = new Uint8Array(512);
  const put = (offset: number, value: string | Uint8Array): void => {
    block.set(typeof value === 'string' ? bytes(value) : value, offset);
  };
  const size = spec.size ?? 0;
  put(0, spec.name ?? 'file');
  put(100, spec.mode ?? '0000644\0');
  put(108, spec.uid ?? '0001750\0');
  put(116, spec.gid ?? '0001750\0');
  put(124, typeof size === 'number' ? `${size.toString(8).padStart(11, '0')}\0` : size);
  put(136, spec.mtime ?? '00000000017\0');
  put(156, spec.type ?? '0');
  put(157, spec.linkname ?? '');
  put(257, spec.magic ?? USTAR);
  if ((spec.magic ?? USTAR) !== V7) {
    put(265, spec.uname ?? 'user');
    put(297, spec.gname ?? 'group');
    put(329, spec.devmajor ?? '0000000\0');
    put(337, spec.devminor ?? '0000000\0');
    put(345, spec.prefix ?? '');
  }
  for (const [offset, value] of spec.raw ?? []) put(offset, value);
  block.fill(0x20, 148, 156);
  const signed = spec.checksum === 'signed';
  const sum = block.reduce((total, byte) => total + (signed && byte >= 0x80 ? byte - 256 : byte), 0);
  const text = `${sum.toString(8).padStart(6, '0')}\0 `;
  put(
    148,
    spec.checksum === undefined || spec.checksum === 'unsigned' || signed ? text : (spec.checksum ?? ''),
  );
  return block;
}

export function padded(data: Uint8Array | string): Uint8Array {
  const source = typeof data === 'string' ? bytes(data) : data;
  const out = new Uint8Array(Math.ceil(source.length / 512) * 512);
  out.set(source);
  return out;
}

export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

export function pax(records: readonly (readonly [string, string])[] | string, type = 'x'): Uint8Array {
  const body = typeof records === 'string' ? records : records.map(([k, v]) => paxRecord(k, v)).join('');
  return concat(header({ name: 'PaxHeaders/file', type, size: body.length }), padded(body));
}

export function gnuLong(type: 'L' | 'K', name: string): Uint8Array {
  const body = `${name}\0`;
  return concat(header({ name: '././@LongLink', type, size: body.length, magic: GNU }), padded(body));
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export const END_OF_ARCHIVE = new Uint8Array(1024);
