/**
 * Where a CPython has its modules, found as it finds them itself: a virtual
 * environment by `pyvenv.cfg` (PEP 405), the library by its landmark beside or
 * above the program, site directories as site.py (and Debian's) has them.
 */
import { posix } from 'node:path';
import type { FoundFile, ImageFiles } from './image-files.js';

const MAX_CONFIGURATION_BYTES = 64 * 1024;
/** The directory of the library's compiled modules. */
export const EXTENSIONS = 'lib-dynload';
const MAX_TAGS = 4;

export interface PythonHome {
  /** Of 3.MINOR. */
  readonly minor: number;
  /** The directory of the standard library. */
  readonly library: string;
  /** Directories of installed packages. */
  readonly sites: readonly string[];
  /** Of a virtual environment. */
  readonly configuration: FoundFile | undefined;
  /** What compiled modules of the library have in their names behind the version, `-x86_64-linux-gnu` for instance. */
  readonly tags: readonly string[];
}

/** Undefined where no library is found. */
export async function pythonHome(
  files: ImageFiles,
  program: FoundFile,
  env: ReadonlyMap<string, string>,
): Promise<PythonHome | undefined> {
  const asked = posix.dirname(program.asked);
  const configuration = await files.first([
    posix.join(asked, 'pyvenv.cfg'),
    posix.join(asked, '../pyvenv.cfg'),
  ]);
  const settings =
    configuration === undefined ? new Map<string, string>() : await settingsIn(files, configuration);
  const home = env.get('PYTHONHOME')?.split(':')[0];
  const starts = [home, settings.get('home'), posix.dirname(program.path)].filter(each => each !== undefined);
  for (const start of starts) {
    for (const prefix of prefixesAbove(start)) {
      const library = await libraryIn(files, prefix, program);
      if (library === undefined) continue;
      const version = posix.basename(library.library);
      const environment =
        configuration && posix.join(posix.dirname(configuration.path), 'lib', version, 'site-packages');
      const systems = systemSites(prefix, library.library);
      const isolated = settings.get('include-system-site-packages') !== 'true';
      const sites = environment === undefined ? systems : [environment, ...(isolated ? [] : systems)];
      return { ...library, sites, configuration, tags: await tagsIn(files, library) };
    }
  }
  return undefined;
}

/** A directory and those above it. */
function prefixesAbove(start: string): string[] {
  const prefixes = [posix.resolve('/', start)];
  for (let at = prefixes[0] as string; at !== '/'; ) {
    at = posix.dirname(at);
    prefixes.push(at);
  }
  return prefixes;
}

/** The library below a prefix, by its landmark os.py, of the program's version where its name says one. */
async function libraryIn(
  files: ImageFiles,
  prefix: string,
  program: FoundFile,
): Promise<{ minor: number; library: string } | undefined> {
  const stated = /^python3\.(\d{1,3})$/.exec(posix.basename(program.path))?.[1];
  for (const folder of ['lib', 'lib64']) {
    const directory = posix.join(prefix, folder);
    const minors =
      stated === undefined
        ? (await files.names(directory)).flatMap(name => /^python3\.(\d{1,3})$/.exec(name)?.[1] ?? [])
        : [stated];
    for (const minor of minors.map(Number).sort((a, b) => b - a)) {
      const library = posix.join(directory, `python3.${minor}`);
      if ((await files.find('os.py', library)) !== undefined) return { minor, library };
    }
  }
  return undefined;
}

function systemSites(prefix: string, library: string): string[] {
  const version = posix.basename(library);
  // Beside the library, which may be in lib64, and where what is for any machine is.
  const own = [posix.join(library, 'site-packages'), posix.join(prefix, 'lib', version, 'site-packages')];
  // Debian's, where what the distribution packs is in one directory for all versions.
  const debian = [`/usr/local/lib/${version}/dist-packages`, '/usr/lib/python3/dist-packages'];
  return [...new Set([...own, ...(prefix === '/usr' ? debian : [])])];
}

/** `key = value` lines, keys in lower case. */
async function settingsIn(files: ImageFiles, file: FoundFile): Promise<Map<string, string>> {
  const text = (await files.readWhole(file, MAX_CONFIGURATION_BYTES))?.toString() ?? '';
  return new Map(
    text.split('\n').flatMap(line => {
      const at = line.indexOf('=');
      return at < 0 ? [] : [[line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()] as const];
    }),
  );
}

/** As the library's own compiled modules have them, which are all of one kind. */
async function tagsIn(
  files: ImageFiles,
  { library, minor }: { library: string; minor: number },
): Promise<string[]> {
  const name = new RegExp(`\\.cpython-3${minor}(-[\\w-]+)?\\.so$`);
  const tags = (await files.names(posix.join(library, EXTENSIONS))).flatMap(each => {
    const found = name.exec(each);
    return found === null ? [] : [found[1] ?? ''];
  });
  return [...new Set(tags)].slice(0, MAX_TAGS);
}
