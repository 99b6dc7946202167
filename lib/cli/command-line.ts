/**
 * From argv to what shall be done: a help text, or a command with its operands
 * and options. Whatever does not fit the command table is a UsageError.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearest } from '../arguments.js';
import {
  type Arguments,
  allOptions,
  type Command,
  type OptionTable,
  type OptionValue,
  UsageError,
} from './command.js';
import { COMMANDS } from './commands.js';
import { counted } from './counted.js';
import { commandHelp, overview } from './help.js';

export type Request =
  | { readonly kind: 'print'; readonly text: string }
  | { readonly kind: 'version' }
  | {
      readonly kind: 'run';
      readonly command: Command;
      readonly invocation: Arguments;
    };

const HELP_WORDS: ReadonlySet<string> = new Set(['--help', '-h', 'help']);
const VERSION_WORDS: ReadonlySet<string> = new Set(['--version', '-v', 'version']);

/** The second words of the commands that begin with `word`. */
function groupOf(word: string): readonly string[] {
  const prefix = `${word} `;
  return [...COMMANDS.keys()].filter(name => name.startsWith(prefix)).map(name => name.slice(prefix.length));
}

/** @throws UsageError */
export async function readCommandLine(argv: readonly string[]): Promise<Request> {
  const [first, ...others] = argv;
  if (first === undefined) throw new UsageError("expected a command (try 'seekable-oci --help')");
  if (HELP_WORDS.has(first)) {
    return others.length === 0
      ? { kind: 'print', text: overview('') }
      : await readCommandLine([...others, '--help']);
  }
  if (VERSION_WORDS.has(first)) return { kind: 'version' };
  const { options, word, rest } = await nextWord(argv);
  if (word === undefined) {
    if (options.some(option => HELP_WORDS.has(option))) return { kind: 'print', text: overview('') };
    throw new UsageError(`expected a command behind ${options.join(' ')} (try 'seekable-oci --help')`);
  }
  const group = groupOf(word);
  if (group.length === 0) return await namedRequest(word, [...options, ...rest]);
  const second = await nextWord(rest);
  const before = [...options, ...second.options];
  if (second.word === undefined || second.word === 'help') {
    const help = second.word === 'help' || before.some(option => HELP_WORDS.has(option));
    if (help) return { kind: 'print', text: overview(word) };
    const expected = `expected a command after '${word}': ${group.join(', ')}`;
    throw new UsageError(`${expected} (try 'seekable-oci ${word} --help')`);
  }
  return await namedRequest(`${word} ${second.word}`, [...before, ...second.rest]);
}

/** The first word that is neither an option nor the value of one that all commands on images have. */
async function nextWord(args: readonly string[]) {
  let at = 0;
  while (args[at]?.startsWith('-')) at += (await takesValue(args[at] as string)) ? 2 : 1;
  return { options: args.slice(0, at), word: args[at], rest: args.slice(at + 1) };
}

async function takesValue(option: string): Promise<boolean> {
  // Loaded here because most command lines begin with the command, and help must not wait for it.
  const { IMAGE_OPTIONS } = await import('./image-option-table.js');
  return option.startsWith('--') && IMAGE_OPTIONS[option.slice('--'.length)]?.type === 'string';
}

async function namedRequest(name: string, args: readonly string[]): Promise<Request> {
  const entry = COMMANDS.get(name);
  if (entry !== undefined) return commandRequest(name, await entry.load(), args);
  const [first = ''] = name.split(' ');
  const where = groupOf(first).length > 0 ? `seekable-oci ${first}` : 'seekable-oci';
  throw new UsageError(
    `unknown command '${name}'${meant(name, [...COMMANDS.keys()])} (try '${where} --help')`,
  );
}

/** `, did you mean '--json'?`, or nothing. */
function meant(word: string, words: readonly string[], prefix = ''): string {
  const found = nearest(word, words);
  return found === undefined ? '' : `, did you mean '${prefix}${found}'?`;
}

/**
 * As parseArgs wants them: a long name behind one dash (find's `-name`) gets its second one, and a value that begins
 * with a minus (`--size -1MiB`) is tied to its option.
 */
function familiar(table: OptionTable, args: readonly string[]): string[] {
  const end = args.indexOf('--');
  const words: string[] = [];
  for (const arg of end < 0 ? args : args.slice(0, end)) {
    const last = words.at(-1);
    const valued = last?.startsWith('--') && table[last.slice(2)]?.type === 'string';
    const [, long = ''] = /^-([a-z][a-z-]+)(?:=|$)/.exec(arg) ?? [];
    if (valued && /^-\d/.test(arg)) words[words.length - 1] = `${last}=${arg}`;
    else words.push(Object.hasOwn(table, long) ? `-${arg}` : arg);
  }
  return end < 0 ? words : [...words, ...args.slice(end)];
}

function parse(name: string, table: OptionTable, args: readonly string[]) {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const [key, { type, short, multiple = false }] of Object.entries(table)) {
    options[key] = short === undefined ? { type, multiple } : { type, short, multiple };
  }
  try {
    return parseArgs({ args: familiar(table, args), options, allowPositionals: true, strict: true });
  } catch (error) {
    // parseArgs explains itself over several sentences; the first says what is wrong.
    const [reason = ''] = (error as Error).message.split(/\. |\n/);
    const option = /^Unknown option '--(.+)'/.exec(reason)?.[1];
    const hint = option === undefined ? '' : meant(option, Object.keys(table), '--');
    throw new UsageError(`${name}: ${reason}${hint} (try 'seekable-oci ${name} --help')`, { cause: error });
  }
}

function commandRequest(name: string, command: Command, args: readonly string[]): Request {
  const { values, positionals } = parse(name, allOptions(command), args);
  if (values['help'] === true) return { kind: 'print', text: commandHelp(name, command) };
  checkOperands(name, command.operands, positionals.length);
  const options = values as Record<string, OptionValue>;
  return { kind: 'run', command, invocation: { operands: positionals, options } };
}

function checkOperands(name: string, operands: readonly string[], found: number): void {
  const required = operands.filter(operand => !operand.startsWith('[')).length;
  const most = operands.at(-1)?.endsWith('…') ? Number.POSITIVE_INFINITY : operands.length;
  if (found >= required && found <= most) return;
  const count = required === most ? `${required}` : `at least ${required}`;
  throw new UsageError(
    `${name}: expected ${operands.join(' ')}, found ${counted(found, 'operand')} instead of ${count} ` +
      `(try 'seekable-oci ${name} --help')`,
  );
}
