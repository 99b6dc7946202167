/**
 * From the words of a command to the files that are executed: PATH, shebangs
 * (execve(2)), shells that are given a command, and the small programs that
 * images put before the real one. What a script does is known only as far as it
 * ends in `exec`; one that is given a program as arguments is taken to run it.
 */
import { posix } from 'node:path';
import type { FoundFile, ImageFiles } from './image-files.js';
import { simpleCommands } from './shell-words.js';

/** As the kernel reads of a file to see what it is (BINPRM_BUF_SIZE). */
const HEAD_BYTES = 256;
/** Of a script, to see what it ends in. */
const MAX_SCRIPT_BYTES = 256 * 1024;
/** Programs and scripts of one command, one behind the other or one within the other: an image may have circles. */
const MAX_STEPS = 32;
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Where a command is run. */
export interface Surroundings {
  readonly env: ReadonlyMap<string, string>;
  readonly directory: string;
}

/** A file that is executed, or that a shell reads its commands from. */
export interface Executed {
  readonly file: FoundFile;
  readonly kind: 'program' | 'script';
  /** Of a program, without its name. */
  readonly args: readonly string[];
  /** Where it is run: a shell may have gone elsewhere before. */
  readonly directory: string;
}

export interface CommandChain {
  readonly executed: readonly Executed[];
  /** Programs that are not there. */
  readonly missing: readonly string[];
}

/** Programs that run the program that they are given, by how many words of theirs stand before it. */
const WRAPPERS: ReadonlyMap<string, { readonly words: number; readonly valued: readonly string[] }> = new Map(
  [
    ['env', { words: 0, valued: ['-u', '--unset', '-C', '--chdir'] }],
    ['tini', { words: 0, valued: ['-p', '-e'] }],
    ['docker-init', { words: 0, valued: ['-p', '-e'] }],
    ['catatonit', { words: 0, valued: [] }],
    ['dumb-init', { words: 0, valued: ['-r', '--rewrite'] }],
    ['nice', { words: 0, valued: ['-n', '--adjustment'] }],
    ['nohup', { words: 0, valued: [] }],
    ['gosu', { words: 1, valued: [] }],
    ['su-exec', { words: 1, valued: [] }],
  ],
);
const SHELL = /^(?:sh|ash|bash|dash|ksh|zsh)$/;
const ASSIGNMENT = /^[A-Za-z_]\w*=/;

export async function commandChain(
  files: ImageFiles,
  command: readonly string[],
  surroundings: Surroundings,
): Promise<CommandChain> {
  const chain = new Chain(files, surroundings);
  await chain.follow(command);
  return chain;
}

class Chain implements CommandChain {
  readonly executed: Executed[] = [];
  readonly missing: string[] = [];
  readonly #files: ImageFiles;
  readonly #env: Surroundings['env'];
  #directory: string;
  #steps = 0;

  constructor(files: ImageFiles, { env, directory }: Surroundings) {
    this.#files = files;
    this.#env = env;
    this.#directory = directory;
  }

  async follow([name = '', ...args]: readonly string[]): Promise<void> {
    if (name === '' || this.#steps >= MAX_STEPS) return;
    this.#steps += 1;
    const file = await this.#program(name);
    if (file === undefined) {
      this.missing.push(name);
      return;
    }
    const shebang = shebangOf(await this.#files.read(file, 0, HEAD_BYTES));
    if (shebang !== undefined) {
      this.#add(file, 'script');
      await this.follow([...shebang, file.asked, ...args]);
      return;
    }
    this.#add(file, 'program', args);
    const names = [posix.basename(file.asked), posix.basename(file.path)];
    const wrapper = names.map(each => WRAPPERS.get(each)).find(each => each !== undefined);
    if (wrapper !== undefined) await this.follow(wrapped(args, wrapper));
    else if (names.some(each => SHELL.test(each))) await this.#followShell(args);
  }

  /** `sh -c COMMAND`, or `sh SCRIPT ARGUMENTS`. */
  async #followShell(args: readonly string[]): Promise<void> {
    const at = args.findIndex(arg => !/^-[a-z]+$/i.test(arg) || /^-[a-z]*c$/.test(arg));
    const [first = '', ...rest] = at < 0 ? [] : args.slice(at);
    if (first.startsWith('-')) {
      await this.followText(rest[0] ?? '');
      return;
    }
    const script = first === '' ? undefined : await this.#files.find(first, this.#directory);
    if (script === undefined) return;
    this.#add(script, 'script');
    const text = await this.#files.readWhole(script, MAX_SCRIPT_BYTES);
    for (const [line] of text?.toString().matchAll(/^[ \t]*exec[ \t].*$/gm) ?? [])
      await this.followText(line);
    const [program = ''] = rest;
    if (program !== '' && !program.startsWith('-') && (await this.#program(program)) !== undefined) {
      await this.follow(rest);
    }
  }

  /** Commands as a shell reads them. */
  async followText(text: string): Promise<void> {
    for (const words of simpleCommands(text, this.#env)) {
      const [first = '', second = ''] = words;
      const command = first === 'exec' ? words.slice(1) : words;
      if (first === 'cd') this.#directory = posix.resolve('/', this.#directory, second);
      // A word of the shell itself is in no file.
      else if ((await this.#program(command[0] ?? '')) !== undefined) await this.follow(command);
    }
  }

  #add(file: FoundFile, kind: Executed['kind'], args: readonly string[] = []): void {
    const isThere = this.executed.some(
      each => each.file.path === file.path && each.args.join('\0') === args.join('\0'),
    );
    if (!isThere) this.executed.push({ file, kind, args, directory: this.#directory });
  }

  /** As execvp(3) looks for it. */
  async #program(name: string): Promise<FoundFile | undefined> {
    if (name === '') return undefined;
    if (name.includes('/')) return await this.#files.find(name, this.#directory);
    for (const place of (this.#env.get('PATH') ?? DEFAULT_PATH).split(':')) {
      const file = await this.#files.find(`${place === '' ? '.' : place}/${name}`, this.#directory);
      if (file?.isExecutable) return file;
    }
    return undefined;
  }
}

/** The interpreter and the one argument that it may have; undefined for what begins otherwise. */
export function shebangOf(head: Buffer): readonly string[] | undefined {
  if (head[0] !== 0x23 || head[1] !== 0x21) return undefined;
  const [line = ''] = head.toString('utf8', 2).split(/[\n\0]/);
  const [, interpreter, argument = ''] = /^[ \t]*([^ \t]+)[ \t]*(.*?)[ \t\r]*$/.exec(line) ?? [];
  if (interpreter === undefined) return undefined;
  return argument === '' ? [interpreter] : [interpreter, argument];
}

/** What is left of a wrapper's arguments: the command that it runs. */
function wrapped(
  args: readonly string[],
  { words, valued }: { words: number; valued: readonly string[] },
): string[] {
  const left = [...args];
  for (let arg = left[0]; arg !== undefined; arg = left[0]) {
    // `env -S`, which is how a shebang passes more than one argument.
    const split = /^(?:-S|--split-string=?)(.*)$/.exec(arg);
    if (split !== null) left.splice(0, 1, ...(split[1] ?? '').split(/\s+/).filter(word => word !== ''));
    else if (valued.includes(arg)) left.splice(0, 2);
    else if (arg === '--') return left.slice(1 + words);
    else if (arg.startsWith('-') || ASSIGNMENT.test(arg)) left.shift();
    else break;
  }
  return left.slice(words);
}
