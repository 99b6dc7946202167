/**
 * What loading Node.js modules reads: each by the rules of `require` and `import`
 * (Node.js documentation, "Modules: CommonJS modules" and "Modules: Packages"),
 * the package.json files that those look at, and then what it names itself.
 */
import { posix } from 'node:path';
import type { FoundFile, ImageFiles } from './image-files.js';
import { type NodeImport, nodeImports } from './node-imports.js';

/** A large application has some thousand. */
const MAX_MODULES = 20_000;
const MAX_SOURCE_BYTES = 2 ** 20;
/** Of all sources together. Modules beyond are named, but what they load is not looked for. */
const MAX_SOURCES_BYTES = 32 * 2 ** 20;
/** Of one source. */
const MAX_IMPORTS = 5000;
const MAX_PACKAGE_BYTES = 2 ** 20;
/** Conditions within conditions of a package's exports. */
const MAX_EXPORTS_DEPTH = 8;
const INDEX: readonly string[] = ['index.js', 'index.json', 'index.node'];
/** What is part of the program also without `node:` before it, though packages of that name exist. */
const BUILTIN: ReadonlySet<string> = new Set([
  ...[
    'assert',
    'async_hooks',
    'buffer',
    'child_process',
    'cluster',
    'console',
    'constants',
    'crypto',
    'dgram',
  ],
  ...[
    'diagnostics_channel',
    'dns',
    'domain',
    'events',
    'fs',
    'http',
    'http2',
    'https',
    'inspector',
    'module',
  ],
  ...['net', 'os', 'path', 'perf_hooks', 'process', 'punycode', 'querystring', 'readline', 'repl', 'stream'],
  ...[
    'string_decoder',
    'sys',
    'timers',
    'tls',
    'tty',
    'url',
    'util',
    'v8',
    'vm',
    'wasi',
    'worker_threads',
    'zlib',
  ],
]);

type Members = Readonly<Record<string, unknown>>;

/** A package.json. */
interface Description {
  readonly file: FoundFile;
  readonly members: Members;
}

export class NodeModules {
  /** In the order in which they are read. */
  readonly read: FoundFile[] = [];
  readonly #files: ImageFiles;
  readonly #seen = new Set<string>();
  readonly #descriptions = new Map<string, Description | undefined>();
  #sourceBytes = 0;

  constructor(files: ImageFiles) {
    this.#files = files;
  }

  /** A module by its path, and all that loading it takes. */
  async load(path: string): Promise<void> {
    const first = await this.#at(path);
    const queue = first === undefined ? [] : [first];
    for (const file of queue) {
      if (this.#seen.has(file.path) || this.#seen.size >= MAX_MODULES) continue;
      await this.#describe(posix.dirname(file.path));
      this.#note(file);
      for (const each of await this.#importsOf(file)) {
        const found = await this.#resolve(each, posix.dirname(file.path));
        if (found !== undefined) queue.push(found);
      }
    }
  }

  async #importsOf(file: FoundFile): Promise<NodeImport[]> {
    if (!/\.[cm]?js$|\/[^.]+$/.test(file.path)) return [];
    this.#sourceBytes += file.size;
    if (this.#sourceBytes > MAX_SOURCES_BYTES) return [];
    const bytes = await this.#files.readWhole(file, MAX_SOURCE_BYTES);
    return nodeImports(bytes?.toString() ?? '').slice(0, MAX_IMPORTS);
  }

  #note(file: FoundFile): void {
    if (this.#seen.has(file.path)) return;
    this.#seen.add(file.path);
    this.read.push(file);
  }

  async #resolve({ specifier, condition }: NodeImport, directory: string): Promise<FoundFile | undefined> {
    if (/^(?:\.{0,2}\/|\.{1,2}$)/.test(specifier)) return await this.#at(posix.resolve(directory, specifier));
    const [, name, subpath = ''] = /^((?:@[^/]+\/)?[^/@.#][^/]*)(\/.+)?$/.exec(specifier) ?? [];
    if (name === undefined || name.includes(':') || BUILTIN.has(name)) return undefined;
    for (let at = directory; ; at = posix.dirname(at)) {
      const place = posix.join(at, 'node_modules', name);
      const description = posix.basename(at) === 'node_modules' ? undefined : await this.#description(place);
      if (description !== undefined) {
        this.#note(description.file);
        const { exports } = description.members;
        if (exports === undefined || exports === null) return await this.#at(`${place}${subpath}`);
        const target = exported(exports, `.${subpath}`, condition);
        return target === undefined ? undefined : await this.#files.find(posix.resolve(place, target));
      }
      if (at === '/') return undefined;
    }
  }

  /** A file, one with an extension left out, or what a directory's package.json or index says. */
  async #at(path: string): Promise<FoundFile | undefined> {
    const file = await this.#file(path);
    if (file !== undefined) return file;
    const description = await this.#description(path);
    if (description !== undefined) this.#note(description.file);
    const main = description?.members['main'];
    const place = typeof main === 'string' && main !== '' ? posix.resolve(path, main) : path;
    const named = place === path ? undefined : await this.#file(place);
    return named ?? (await this.#files.first(INDEX, place)) ?? (await this.#files.first(INDEX, path));
  }

  async #file(path: string): Promise<FoundFile | undefined> {
    return await this.#files.first([path, `${path}.js`, `${path}.json`, `${path}.node`]);
  }

  /** The nearest package.json says what kind of module a file is, and ends the search. */
  async #describe(directory: string): Promise<void> {
    for (let at = directory; ; at = posix.dirname(at)) {
      const description = await this.#description(at);
      if (description !== undefined) this.#note(description.file);
      if (description !== undefined || at === '/') return;
    }
  }

  async #description(directory: string): Promise<Description | undefined> {
    if (!this.#descriptions.has(directory)) {
      const file = await this.#files.find('package.json', directory);
      const bytes = file && (await this.#files.readWhole(file, MAX_PACKAGE_BYTES));
      const description = file && { file, members: membersOf(bytes?.toString() ?? '') };
      this.#descriptions.set(directory, description);
    }
    return this.#descriptions.get(directory);
  }
}

/** None of what is no JSON object. */
function membersOf(text: string): Members {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Members) : {};
  } catch {
    return {};
  }
}

/** The target that a package exports for a subpath (`.`, `./sub`), relative to it; undefined for none. */
function exported(exports: unknown, subpath: string, condition: string): string | undefined {
  const isBySubpath = isMembers(exports) && Object.keys(exports).some(key => key.startsWith('.'));
  if (!isBySubpath) return subpath === '.' ? targetOf(exports, condition, 0) : undefined;
  if (Object.hasOwn(exports, subpath)) return targetOf(exports[subpath], condition, 0);
  for (const [pattern, target] of Object.entries(exports)) {
    const [before = '', after, ...more] = pattern.split('*');
    if (after === undefined || more.length > 0 || subpath.length < pattern.length) continue;
    if (!subpath.startsWith(before) || !subpath.endsWith(after)) continue;
    const middle = subpath.slice(before.length, subpath.length - after.length);
    return targetOf(target, condition, 0)?.replaceAll('*', () => middle);
  }
  return undefined;
}

/** The first that holds, in the order in which they are written. */
function targetOf(value: unknown, condition: string, depth: number): string | undefined {
  if (typeof value === 'string') return value.startsWith('./') ? value : undefined;
  if (depth > MAX_EXPORTS_DEPTH || typeof value !== 'object' || value === null) return undefined;
  const isFor = (key: string): boolean => [condition, 'node', 'default', 'node-addons'].includes(key);
  const choices = Array.isArray(value)
    ? value
    : Object.keys(value)
        .filter(isFor)
        .map(key => (value as Members)[key]);
  for (const choice of choices) {
    const target = targetOf(choice, condition, depth + 1);
    if (target !== undefined) return target;
  }
  return undefined;
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
