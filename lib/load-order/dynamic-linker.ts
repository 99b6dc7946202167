/**
 * What a dynamic linker loads for a program, in its order: the linker itself, its
 * configuration, what is preloaded, then libraries by breadth, each looked for
 * where ld.so(8) and musl's ldso/dynlink.c look. Nothing is executed: files that
 * a program opens by itself (dlopen) are added by whoever knows of them.
 */
import { posix } from 'node:path';
import { type ElfFile, type ElfKind, readElf } from './elf-file.js';
import type { FoundFile, ImageFiles } from './image-files.js';
import { expandedList, type LibraryPaths, libraryPaths } from './library-paths.js';

/** Libraries that musl itself is, whatever file they would be in. */
const MUSL_ITSELF = /^lib(c|pthread|rt|m|dl|util|xnet)\./;

/** A program or a library as it is mapped. */
export interface LoadedObject {
  readonly file: FoundFile;
  readonly elf: ElfFile;
}

/** A library that is nowhere. */
export interface MissingLibrary {
  readonly name: string;
  readonly neededBy: string;
}

interface Linked extends LoadedObject {
  /** Directories of DT_RPATH and DT_RUNPATH. */
  readonly rpath: readonly string[];
  readonly runpath: readonly string[];
  /** Who needed it first. */
  readonly by: Linked | undefined;
}

export class DynamicLinker {
  readonly missing: MissingLibrary[] = [];
  readonly #files: ImageFiles;
  readonly #env: ReadonlyMap<string, string>;
  /** By the names that they are needed by, and by their paths without links. */
  readonly #loaded = new Set<string>();
  #program: Linked | undefined;
  #paths: LibraryPaths | undefined;

  constructor(files: ImageFiles, env: ReadonlyMap<string, string>) {
    this.#files = files;
    this.#env = env;
  }

  /** What the linker reads besides objects. */
  get configuration(): readonly FoundFile[] {
    return this.#paths?.files ?? [];
  }

  /** What is loaded to start a program, itself first; empty for what is no ELF file. */
  async start(file: FoundFile): Promise<LoadedObject[]> {
    const elf = await this.#readElf(file);
    if (elf === undefined) return [];
    // The kernel says where the program is, links resolved.
    const program = this.#note({ file: { ...file, asked: file.path }, elf });
    this.#program = program;
    const { interpreter } = elf;
    if (interpreter === undefined) return [program];
    this.#paths = await libraryPaths(this.#files, interpreter, elf, this.#env);
    const started = [program, ...(await this.#loadInterpreter(interpreter, program))];
    for (const name of this.#paths.preloads) {
      const preloaded = await this.#load(name, program);
      if (preloaded !== undefined) started.push(preloaded, ...(await this.#withNeeds([preloaded])));
    }
    return [...started, ...(await this.#withNeeds([program]))];
  }

  /** What the kernel maps when a program is executed: the program, and the linker that it names. */
  async mappedByKernel(file: FoundFile): Promise<LoadedObject[]> {
    const elf = await this.#readElf(file);
    if (elf === undefined) return [];
    const program = this.#note({ file, elf });
    return [
      program,
      ...(elf.interpreter === undefined ? [] : await this.#loadInterpreter(elf.interpreter, program)),
    ];
  }

  /** What is loaded when the program opens a library by its path: that, and what it needs that is not there yet. */
  async open(file: FoundFile): Promise<LoadedObject[]> {
    const program = this.#program;
    if (program === undefined || this.#loaded.has(file.path)) return [];
    const elf = await this.#readElf(file);
    if (elf === undefined || !isOfOneKind(elf, program.elf)) return [];
    const opened = this.#note({ file, elf }, program);
    return [opened, ...(await this.#withNeeds([opened]))];
  }

  async #loadInterpreter(path: string, program: Linked): Promise<Linked[]> {
    const file = await this.#files.find(path);
    const elf = file && (await this.#readElf(file));
    if (file !== undefined && elf !== undefined) {
      this.#loaded.add(posix.basename(path));
      return [this.#note({ file, elf }, program)];
    }
    this.missing.push({ name: path, neededBy: program.file.path });
    return [];
  }

  /** All that some objects need, and what those need, by breadth. */
  async #withNeeds(first: readonly Linked[]): Promise<Linked[]> {
    const found: Linked[] = [];
    const queue = [...first];
    for (const object of queue) {
      for (const name of object.elf.needed) {
        const library = await this.#load(name, object);
        if (library === undefined) continue;
        found.push(library);
        queue.push(library);
      }
    }
    return found;
  }

  /** A library that is not there yet; undefined for one that is, and one that is nowhere. */
  async #load(name: string, by: Linked): Promise<Linked | undefined> {
    if (this.#loaded.has(name)) return undefined;
    if (this.#paths?.libc === 'musl' && MUSL_ITSELF.test(name)) return undefined;
    const found = await this.#find(name, by);
    const isThere = found !== undefined && this.#loaded.has(found.file.path);
    this.#loaded.add(name);
    if (found === undefined) this.missing.push({ name, neededBy: by.file.path });
    return found === undefined || isThere ? undefined : this.#note(found, by);
  }

  #note(object: LoadedObject, by?: Linked): Linked {
    this.#loaded.add(object.file.path);
    if (object.elf.soname !== undefined) this.#loaded.add(object.elf.soname);
    return { ...object, rpath: searchPath(object, 'rpath'), runpath: searchPath(object, 'runpath'), by };
  }

  async #find(name: string, by: Linked): Promise<LoadedObject | undefined> {
    for (const path of this.#candidates(name, by)) {
      const file = await this.#files.find(path);
      const elf = file && (await this.#readElf(file));
      if (file !== undefined && elf !== undefined && isOfOneKind(elf, by.elf)) return { file, elf };
    }
    return undefined;
  }

  /** Where a linker looks, one after the other. */
  *#candidates(name: string, by: Linked): Generator<string, void, undefined> {
    const paths = this.#paths;
    if (name.includes('/') || paths === undefined) {
      yield name;
      return;
    }
    const at = (directories: readonly string[]): string[] => directories.map(each => `${each}/${name}`);
    if (paths.libc === 'musl') {
      yield* at(paths.environment);
      for (const { elf, rpath, runpath } of chain(by)) yield* at(elf.runpath === undefined ? rpath : runpath);
    } else {
      // DT_RPATH holds for all that is loaded below it, unless DT_RUNPATH takes its place.
      for (const { elf, rpath } of by.elf.runpath === undefined ? chain(by) : []) {
        if (elf.runpath === undefined) yield* at(rpath);
      }
      yield* at(paths.environment);
      yield* at(by.runpath);
    }
    yield* paths.cache.get(name) ?? [];
    yield* at(paths.defaults);
  }

  #readElf(file: FoundFile): Promise<ElfFile | undefined> {
    return readElf((start, length) => this.#files.read(file, start, length), file.size);
  }
}

function searchPath({ file, elf }: LoadedObject, list: 'rpath' | 'runpath'): string[] {
  return expandedList(elf[list], posix.dirname(file.asked), elf);
}

/** An object, who loaded it, who loaded that, up to the program. */
function* chain(object: Linked): Generator<Linked, void, undefined> {
  for (let each: Linked | undefined = object; each !== undefined; each = each.by) yield each;
}

function isOfOneKind(a: ElfKind, b: ElfKind): boolean {
  return a.bits === b.bits && a.littleEndian === b.littleEndian && a.machine === b.machine;
}
