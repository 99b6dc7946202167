/**
 * A load order without any run: what the image's own command makes a kernel, a
 * dynamic linker and an interpreter read, found out by following the files as
 * those do, through the lazy image. Of programs and libraries it is the parts
 * that are mapped, of all else whole files.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import type { Image } from '../image/image.js';
import { isLoadPath, type Load, type LoadOrder } from '../soci/load-order.js';
import type { AbortableOptions } from '../source/range-source.js';
import { commandChain, type Executed, type Surroundings } from './command-chain.js';
import { DynamicLinker, type LoadedObject } from './dynamic-linker.js';
import { type FoundFile, ImageFiles } from './image-files.js';
import { isNode, nodeStartup } from './node-startup.js';
import { isPython, pythonStartup } from './python-startup.js';

export interface DeriveLoadOrderOptions extends AbortableOptions {
  /** The name that the load order gets. Default 'start'. */
  readonly workload?: string | undefined;
  /** The words that are run. Default: the image's entrypoint and command. */
  readonly command?: readonly string[] | undefined;
}

const DERIVE_NAMES: OptionNames<DeriveLoadOrderOptions> = { signal: true, workload: true, command: true };

export interface DerivedLoadOrder {
  readonly order: LoadOrder;
  /** Programs and libraries that are needed, but nowhere in the image. */
  readonly missing: readonly { readonly name: string; readonly neededBy: string }[];
}

/** What is executed and mapped is waited for at every start; what an interpreter reads, a little later. */
const PROGRAM_URGENCY = 1;
const STARTUP_URGENCY = 3;
/** Parts of a file are rounded to pages. */
const PAGE_BYTES = 4096;
const MAX_WORDS = 1000;
/** What a program opens by itself to run what is in it. */
const LIBRARY = /\.(?:so|node)$/;

/**
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT without a command, here and in the image; ERR_SOCI_LIMIT for an image that
 *   would keep the derivation going; whatever reading it fails with
 */
export async function deriveLoadOrder(
  image: Image,
  options: DeriveLoadOrderOptions = {},
): Promise<DerivedLoadOrder> {
  checkOptions('deriveLoadOrder', options, DERIVE_NAMES);
  const { signal, workload = 'start', command = configuredCommand(image) } = options;
  const files = await ImageFiles.of(image, { signal });
  const surroundings = surroundingsOf(image);
  const chain = await commandChain(files, command, surroundings);
  const derived = new Derivation();
  for (const name of chain.missing) derived.missing.push({ name, neededBy: command.join(' ').slice(0, 200) });
  for (const executed of chain.executed) await derived.follow(files, executed, surroundings);
  return { order: derived.order(image.manifest.descriptor.digest, workload), missing: derived.missing };
}

class Derivation {
  readonly missing: { name: string; neededBy: string }[] = [];
  readonly #loads = new Map<string, Load[]>();

  order(image: string, workload: string): LoadOrder {
    const loads = [...this.#loads.values()].flat();
    return { image, workload, runs: 0, loads: loads.sort((a, b) => a.urgency - b.urgency) };
  }

  async follow(files: ImageFiles, executed: Executed, surroundings: Surroundings): Promise<void> {
    if (executed.kind === 'script') {
      this.#addFile(executed.file, PROGRAM_URGENCY);
      return;
    }
    const linker = new DynamicLinker(files, surroundings.env);
    const [program, ...others] = await linker.start(executed.file);
    // What is no ELF file the kernel hands to nobody, but it was named.
    if (program === undefined) this.#addFile(executed.file, PROGRAM_URGENCY);
    else this.#addObject(program, PROGRAM_URGENCY);
    for (const file of linker.configuration) this.#addFile(file, PROGRAM_URGENCY);
    for (const object of others) this.#addObject(object, PROGRAM_URGENCY);
    const startup = isPython(executed) ? pythonStartup : isNode(executed) ? nodeStartup : undefined;
    const read = (await startup?.(files, executed, surroundings.env)) ?? [];
    for (const file of read) {
      const objects = LIBRARY.test(file.path) ? await linker.open(file) : [];
      for (const object of objects) this.#addObject(object, STARTUP_URGENCY);
      if (objects.length === 0) this.#addFile(file, STARTUP_URGENCY);
    }
    this.missing.push(...linker.missing);
  }

  #addObject({ file, elf }: LoadedObject, urgency: number): void {
    const { path, size } = file;
    let end = 0;
    const ranges: { start: number; end: number }[] = [];
    for (const segment of elf.segments) {
      const start = Math.max(end, Math.floor(segment.start / PAGE_BYTES) * PAGE_BYTES);
      const last = ranges.at(-1);
      end = Math.max(end, Math.min(size, Math.ceil(segment.end / PAGE_BYTES) * PAGE_BYTES));
      if (last?.end === start) last.end = end;
      else if (start < end) ranges.push({ start, end });
    }
    const loads = ranges.map(range => ({ path, size, ...range, urgency }));
    if (!this.#loads.has(path) && isLoadPath(path)) this.#loads.set(path, loads);
  }

  /** A whole file, unless it has been named before. */
  #addFile({ path, size }: FoundFile, urgency: number): void {
    if (size === 0 || this.#loads.has(path) || !isLoadPath(path)) return;
    this.#loads.set(path, [{ path, size, start: 0, end: size, urgency }]);
  }
}

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
function configuredCommand({ config }: Image): readonly string[] {
  const { Entrypoint: entrypoint, Cmd: command } = config?.config ?? {};
  const words = [...wordsOf(entrypoint), ...wordsOf(command)];
  if (words.length > 0) return words;
  throw invalidArgument(
    'command',
    'the words of one, since the image has neither entrypoint nor command,',
    undefined,
  );
}

function surroundingsOf({ config }: Image): Surroundings {
  const { Env: variables, WorkingDir: directory } = config?.config ?? {};
  const env = new Map(
    wordsOf(variables).map(variable => {
      const at = variable.indexOf('=');
      return at < 0 ? [variable, ''] : [variable.slice(0, at), variable.slice(at + 1)];
    }),
  );
  return { env, directory: typeof directory === 'string' && directory !== '' ? directory : '/' };
}

/** A list of strings as a config has it, or not: its content is anybody's. */
function wordsOf(value: unknown): string[] {
  const words: unknown[] = Array.isArray(value) ? value.slice(0, MAX_WORDS) : [];
  return words.filter(word => typeof word === 'string');
}
