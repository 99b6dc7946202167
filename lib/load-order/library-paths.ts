/**
 * Where a dynamic linker looks for libraries, besides where a file itself says:
 * the directories that are compiled into it, its configuration in the image, and
 * the variables of the environment. glibc's (ld.so(8)) and musl's.
 */
import { posix } from 'node:path';
import type { ElfKind } from './elf-file.js';
import type { FoundFile, ImageFiles } from './image-files.js';
import { parseLinkerCache, parseLinkerConf, parseMuslPath } from './linker-files.js';

const CACHE = '/etc/ld.so.cache';
const CONF = '/etc/ld.so.conf';
const PRELOAD = '/etc/ld.so.preload';
/** A cache of a desktop with all its libraries has some 200 KiB. */
const MAX_CACHE_BYTES = 8 * 2 ** 20;
const MAX_CONF_BYTES = 64 * 1024;
/** Files that an `ld.so.conf` may include in all, one within the other or not. */
const MAX_INCLUDED = 256;
const MUSL_DEFAULT: readonly string[] = ['/lib', '/usr/local/lib', '/usr/lib'];

/** By e_machine and bits: what $PLATFORM stands for, and Debian's name of the architecture in paths. */
const MACHINES: Readonly<Record<string, { readonly platform: string; readonly multiarch: string }>> = {
  '3/32': { platform: 'i686', multiarch: 'i386-linux-gnu' },
  '21/64': { platform: 'power8', multiarch: 'powerpc64le-linux-gnu' },
  '22/64': { platform: 'z900', multiarch: 's390x-linux-gnu' },
  '40/32': { platform: 'v7l', multiarch: 'arm-linux-gnueabihf' },
  '62/64': { platform: 'x86_64', multiarch: 'x86_64-linux-gnu' },
  '183/64': { platform: 'aarch64', multiarch: 'aarch64-linux-gnu' },
  '243/64': { platform: 'riscv64', multiarch: 'riscv64-linux-gnu' },
  '258/64': { platform: 'loongarch64', multiarch: 'loongarch64-linux-gnu' },
};

export interface LibraryPaths {
  readonly libc: 'glibc' | 'musl';
  /** LD_LIBRARY_PATH. */
  readonly environment: readonly string[];
  /** LD_PRELOAD, and what the image's own list has. */
  readonly preloads: readonly string[];
  /** By soname. */
  readonly cache: ReadonlyMap<string, readonly string[]>;
  /** The last directories of all. */
  readonly defaults: readonly string[];
  /** What the linker reads to know all this. */
  readonly files: readonly FoundFile[];
}

/** @param interpreter The path of the dynamic linker, whose name says which libc it is of. */
export async function libraryPaths(
  files: ImageFiles,
  interpreter: string,
  kind: ElfKind,
  env: ReadonlyMap<string, string>,
): Promise<LibraryPaths> {
  const musl = /^ld-musl-([\w.-]+?)\.so/.exec(posix.basename(interpreter));
  const environment = splitList(env.get('LD_LIBRARY_PATH') ?? '', /[:;]/);
  const preloads = splitList(env.get('LD_PRELOAD') ?? '', /[\s:]+/);
  if (musl !== null) {
    const file = await files.find(`/etc/ld-musl-${musl[1]}.path`);
    const text = file && (await files.readWhole(file, MAX_CONF_BYTES));
    const defaults = text === undefined ? MUSL_DEFAULT : parseMuslPath(text.toString());
    return { libc: 'musl', environment, preloads, cache: new Map(), defaults, files: file ? [file] : [] };
  }
  const list = await files.find(PRELOAD);
  const listed = list && (await files.readWhole(list, MAX_CONF_BYTES));
  const cacheFile = await files.find(CACHE);
  const cacheBytes = cacheFile && (await files.readWhole(cacheFile, MAX_CACHE_BYTES));
  const cache = cacheBytes === undefined ? new Map() : parseLinkerCache(cacheBytes);
  // Without a cache ldconfig has not been run in the image: where it would look is the best guess.
  const configured = cache.size === 0 ? await configuredDirectories(files) : [];
  return {
    libc: 'glibc',
    environment,
    preloads: [...preloads, ...splitList(listed?.toString() ?? '', /[\s:]+/)],
    cache,
    defaults: [...configured, ...defaultDirectories(kind)],
    files: [list, cacheFile].filter(file => file !== undefined),
  };
}

function splitList(text: string, separator: RegExp): string[] {
  return text.split(separator).filter(entry => entry !== '');
}

function defaultDirectories(kind: ElfKind): string[] {
  const machine = machineOf(kind);
  const multiarch =
    machine === undefined ? [] : [`/lib/${machine.multiarch}`, `/usr/lib/${machine.multiarch}`];
  const wide = kind.bits === 64 ? ['/lib64', '/usr/lib64'] : [];
  return [...multiarch, ...wide, '/lib', '/usr/lib', ...(kind.bits === 32 ? ['/lib32', '/usr/lib32'] : [])];
}

function machineOf({ machine, bits }: ElfKind): (typeof MACHINES)[string] | undefined {
  return MACHINES[`${machine}/${bits}`];
}

/** The directories of `ld.so.conf` and all that it includes, each file once. */
async function configuredDirectories(files: ImageFiles): Promise<string[]> {
  const directories: string[] = [];
  const seen = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    const file = await files.find(path);
    if (file === undefined || seen.has(file.path) || seen.size >= MAX_INCLUDED) return;
    seen.add(file.path);
    const text = (await files.readWhole(file, MAX_CONF_BYTES))?.toString() ?? '';
    for (const line of parseLinkerConf(text)) {
      if (line.kind === 'directory') directories.push(line.path);
      else
        for (const included of await matching(files, posix.resolve(posix.dirname(path), line.pattern)))
          await visit(included);
    }
  };
  await visit(CONF);
  return directories;
}

/** Paths that match a pattern with `*` and `?` in its last name, which is what includes are written with. */
async function matching(files: ImageFiles, pattern: string): Promise<string[]> {
  const [directory, last] = [posix.dirname(pattern), posix.basename(pattern)];
  if (!/[*?]/.test(last)) return [pattern];
  return (await files.names(directory))
    .filter(name => fits(name, last))
    .map(name => posix.join(directory, name));
}

/** Whether a name fits a pattern, in time that grows with the product of their lengths at most. */
function fits(name: string, pattern: string): boolean {
  let [at, place, star, mark] = [0, 0, -1, 0];
  while (at < name.length) {
    if (pattern[place] === '*') {
      [star, mark] = [place, at];
      place += 1;
    } else if (pattern[place] === '?' || pattern[place] === name[at]) {
      place += 1;
      at += 1;
    } else if (star >= 0) {
      mark += 1;
      [place, at] = [star + 1, mark];
    } else return false;
  }
  return /^\**$/.test(pattern.slice(place));
}

/**
 * A list of directories as files and variables have it, with $ORIGIN, $LIB and $PLATFORM replaced; what they stand for
 * differs between distributions for $LIB, so that one entry may become several.
 *
 * @param origin The directory of the file that has the list.
 */
export function expandedList(list: string | undefined, origin: string, kind: ElfKind): string[] {
  const machine = machineOf(kind);
  return splitList(list ?? '', /:/).flatMap(entry => {
    const placed = entry.replace(/\$(?:ORIGIN\b|\{ORIGIN\})/g, () => origin);
    const named = placed.replace(/\$(?:PLATFORM\b|\{PLATFORM\})/g, () => machine?.platform ?? '');
    if (!/\$(?:LIB\b|\{LIB\})/.test(named)) return [named];
    const libraries = [`lib/${machine?.multiarch ?? ''}`, kind.bits === 64 ? 'lib64' : 'lib'];
    return libraries.map(library => named.replace(/\$(?:LIB\b|\{LIB\})/g, () => library));
  });
}
