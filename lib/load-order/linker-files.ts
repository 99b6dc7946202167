/**
 * What dynamic linkers are configured with: glibc's `ld.so.cache` (ldconfig(8),
 * sysdeps/generic/dl-cache.h), `ld.so.conf` that it is made from, and musl's list
 * of directories. Bytes in, names out; a damaged file is as good as none.
 */

const OLD_MAGIC = 'ld.so-1.7.0';
const OLD_HEADER_BYTES = 16;
const OLD_ENTRY_BYTES = 12;
const NEW_MAGIC = 'glibc-ld.so.cache1.1';
const NEW_HEADER_BYTES = 48;
const NEW_ENTRY_BYTES = 24;
/** Flags of an entry, lower byte: FLAG_ELF_LIBC6. */
const ELF_LIBC6 = 3;
const MAX_ENTRIES = 200_000;
const MAX_NAME_BYTES = 4096;
/** Of all entries together: they may share strings, and so name more than the file has bytes. */
const MAX_TEXT = 2 ** 24;

/**
 * Paths by soname, in the order of the cache, whatever machine they are for. Those that need a certain processor are
 * left out: which one the image will run on nobody knows. Empty for what is no such cache.
 */
export function parseLinkerCache(bytes: Buffer): ReadonlyMap<string, readonly string[]> {
  const paths = new Map<string, string[]>();
  const start = newFormatStart(bytes);
  if (start === undefined || start + NEW_HEADER_BYTES > bytes.length) return paths;
  // Its byte order is the machine's; all that run Linux containers but s390x are little-endian.
  const little = bytes.readUInt32LE(start + NEW_MAGIC.length) <= MAX_ENTRIES;
  const word = (at: number): number => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const count = word(start + NEW_MAGIC.length);
  const entries = start + NEW_HEADER_BYTES;
  if (count > MAX_ENTRIES || entries + count * NEW_ENTRY_BYTES > bytes.length) return paths;
  let text = 0;
  for (let at = entries; at < entries + count * NEW_ENTRY_BYTES && text <= MAX_TEXT; at += NEW_ENTRY_BYTES) {
    const needsHardware = word(at + 16) !== 0 || word(at + 20) !== 0;
    if ((word(at) & 0xff) !== ELF_LIBC6 || needsHardware) continue;
    const soname = textAt(bytes, start + word(at + 4));
    const path = textAt(bytes, start + word(at + 8));
    if (soname === undefined || !path?.startsWith('/')) continue;
    text += soname.length + path.length;
    const others = paths.get(soname);
    if (others === undefined) paths.set(soname, [path]);
    else others.push(path);
  }
  return paths;
}

/** Where the new format begins: at once, or aligned behind the old one, which older ldconfigs write first. */
function newFormatStart(bytes: Buffer): number | undefined {
  if (hasText(bytes, 0, NEW_MAGIC)) return 0;
  if (!hasText(bytes, 0, OLD_MAGIC) || bytes.length < OLD_HEADER_BYTES) return undefined;
  const end = OLD_HEADER_BYTES + bytes.readUInt32LE(12) * OLD_ENTRY_BYTES;
  const start = Math.ceil(end / 8) * 8;
  return hasText(bytes, start, NEW_MAGIC) ? start : undefined;
}

function hasText(bytes: Buffer, at: number, text: string): boolean {
  return bytes.toString('latin1', at, at + text.length) === text;
}

function textAt(bytes: Buffer, start: number): string | undefined {
  if (start >= bytes.length) return undefined;
  const end = bytes.indexOf(0, start);
  return end < 0 || end - start > MAX_NAME_BYTES ? undefined : bytes.toString('utf8', start, end);
}

/** One line of an `ld.so.conf`. */
export type LinkerConfLine =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'include'; readonly pattern: string };

export function parseLinkerConf(text: string): LinkerConfLine[] {
  return text.split('\n').flatMap((line): LinkerConfLine[] => {
    const [words = ''] = line.split('#');
    const [first = '', ...rest] = words.trim().split(/\s+/);
    if (first === 'include') return rest.map(pattern => ({ kind: 'include', pattern }));
    // `DIR=TYPE` tells which libc the libraries are of; `hwcap` lines name no directory.
    const [path = ''] = first.split('=');
    return path.startsWith('/') ? [{ kind: 'directory', path }] : [];
  });
}

/** The directories of `/etc/ld-musl-ARCH.path`: by lines or colons, as musl's ldso/dynlink.c splits them. */
export function parseMuslPath(text: string): string[] {
  return text.split(/[\n:]/).filter(path => path.startsWith('/'));
}
