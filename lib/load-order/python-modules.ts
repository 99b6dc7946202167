/**
 * What importing Python modules reads: each where the search path has it first,
 * compiled where it has been compiled (PEP 3147), and then what it imports itself,
 * by its source. What is in the program (built in, or frozen since 3.11) is
 * followed and not read.
 */
import { posix } from 'node:path';
import type { FoundFile, ImageFiles } from './image-files.js';
import type { PythonHome } from './python-home.js';
import { type PythonImport, pythonImports } from './python-imports.js';

/** A large application has some thousand. */
const MAX_MODULES = 20_000;
/** Dots in a name. */
const MAX_DEPTH = 32;
const MAX_SOURCE_BYTES = 2 ** 20;
/** Of all sources together. Modules beyond are named, but what they import is not looked for. */
const MAX_SOURCES_BYTES = 32 * 2 ** 20;
/** Of one source. */
const MAX_IMPORTS = 5000;
const NAME = /^[\p{L}\p{N}_]+$/u;
/** Part of the program since 3.11 (Python/frozen.c). */
const FROZEN: ReadonlySet<string> = new Set([
  ...['abc', 'codecs', 'io', '_collections_abc', '_sitebuiltins', 'genericpath', 'ntpath', 'posixpath', 'os'],
  ...['site', 'stat', 'zipimport', 'runpy', 'importlib.util', 'importlib.machinery'],
  ...['importlib._bootstrap', 'importlib._bootstrap_external'],
]);

interface Module {
  /** Directories where modules in it are looked for; none for what is no package. */
  readonly inside: readonly string[];
}

export class PythonModules {
  /** In the order in which they are read. */
  readonly read: FoundFile[] = [];
  readonly #files: ImageFiles;
  readonly #home: PythonHome;
  readonly #directories: readonly string[];
  readonly #modules = new Map<string, Module | undefined>();
  #sourceBytes = 0;
  readonly #listings = new Map<string, Promise<ReadonlySet<string>>>();

  /** @param directories The search path. */
  constructor(files: ImageFiles, home: PythonHome, directories: readonly string[]) {
    this.#files = files;
    this.#home = home;
    this.#directories = directories;
  }

  /** A module by its dotted name, and all that its import takes. */
  async import(name: string): Promise<void> {
    const queue = [name];
    for (const each of queue) queue.push(...(await this.#load(each)));
  }

  /** All that a source imports that is itself no module: a script, a line of a `.pth` file, the text of `-c`. */
  async importAllOf(source: string): Promise<void> {
    for (const each of pythonImports(source, 'main').slice(0, MAX_IMPORTS)) {
      for (const name of namesOf(each, '')) await this.import(name);
    }
  }

  /** Loads the packages around a module and then itself, and says what those import. */
  async #load(name: string): Promise<string[]> {
    const parts = name.split('.');
    if (parts.length > MAX_DEPTH || !parts.every(part => NAME.test(part))) return [];
    const wanted: string[] = [];
    let directories = this.#directories;
    for (let count = 1; count <= parts.length; count += 1) {
      const full = parts.slice(0, count).join('.');
      if (!this.#modules.has(full)) {
        if (this.#modules.size >= MAX_MODULES) return wanted;
        // Told before it is looked at, since it may import itself.
        this.#modules.set(full, undefined);
        const found = await this.#find(full, parts[count - 1] as string, directories);
        this.#modules.set(full, found?.module);
        wanted.push(...(found?.imports ?? []));
      }
      const module = this.#modules.get(full);
      if (module === undefined) return wanted;
      directories = module.inside;
    }
    return wanted;
  }

  async #find(
    full: string,
    name: string,
    directories: readonly string[],
  ): Promise<{ module: Module; imports: string[] } | undefined> {
    const namespace: string[] = [];
    for (const directory of directories) {
      const names = await this.#names(directory);
      const place = posix.join(directory, name);
      if (names.has(name)) {
        const inside = await this.#names(place);
        if (inside.has('__init__.py')) {
          const module = { inside: [place] };
          return { module, imports: await this.#source(full, posix.join(place, '__init__'), full) };
        }
        if (inside.size > 0) namespace.push(place);
      }
      const library = this.#extensionIn(names, name);
      if (library !== undefined) {
        const file = await this.#files.find(library, directory);
        if (file !== undefined) this.read.push(file);
        return { module: { inside: [] }, imports: [] };
      }
      if (names.has(`${name}.py`)) {
        const around = full.slice(0, Math.max(0, full.length - name.length - 1));
        return { module: { inside: [] }, imports: await this.#source(full, place, around) };
      }
    }
    return namespace.length === 0 ? undefined : { module: { inside: namespace }, imports: [] };
  }

  /** A compiled library, by one of the suffixes that the interpreter takes. */
  #extensionIn(names: ReadonlySet<string>, name: string): string | undefined {
    const plain = [`${name}.abi3.so`, `${name}.so`].find(each => names.has(each));
    const tagged = `${name}.cpython-3${this.#home.minor}`;
    return plain ?? this.#home.tags.map(tag => `${tagged}${tag}.so`).find(each => names.has(each));
  }

  /**
   * Reads a module that is a source, and says what it imports.
   *
   * @param around The package that relative imports start from.
   */
  async #source(full: string, stem: string, around: string): Promise<string[]> {
    const source = await this.#files.find(`${stem}.py`);
    if (source === undefined) return [];
    const compiled = `__pycache__/${posix.basename(stem)}.cpython-3${this.#home.minor}.pyc`;
    const isFrozen = this.#home.minor >= 11 && FROZEN.has(full);
    if (!isFrozen) this.read.push((await this.#files.find(compiled, posix.dirname(stem))) ?? source);
    this.#sourceBytes += source.size;
    if (this.#sourceBytes > MAX_SOURCES_BYTES) return [];
    const bytes = await this.#files.readWhole(source, MAX_SOURCE_BYTES);
    const imports = pythonImports(bytes?.toString() ?? '', 'imported').slice(0, MAX_IMPORTS);
    return imports.flatMap(each => namesOf(each, around)).filter(name => !this.#modules.has(name));
  }

  #names(directory: string): Promise<ReadonlySet<string>> {
    let names = this.#listings.get(directory);
    if (names === undefined) {
      names = this.#files.names(directory).then(list => new Set(list));
      this.#listings.set(directory, names);
    }
    return names;
  }
}

/** The modules that an import names, absolute: what stands behind `import` may be modules too. */
function namesOf({ level, module, names }: PythonImport, around: string): string[] {
  const packages = around === '' ? [] : around.split('.');
  if (level > packages.length && level > 0) return [];
  const base = level === 0 ? [] : packages.slice(0, packages.length - level + 1);
  const whole = [...base, ...(module === '' ? [] : [module])].join('.');
  return whole === '' ? [] : [whole, ...names.map(name => `${whole}.${name}`)];
}
