/**
 * From argv to what shall be done: a help text, or a command with its operands
 * and options. Whatever does not fit the command table is a UsageError.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearest } from '../arguments.js';
import {
  type Command,
  HELP_OPTION,
  type Invocation,
  type OptionTable,
  type OptionValue,
  UsageError,
} from './command.js';
import { COMMANDS } from './commands.js';
import { commandHelp, overview } from './help.js';

export type Request =
  | { readonly kind: 'print'; readonly text: string }
  | { readonly kind: 'version' }
  | {
      readonly kind: 'run';
      readonly command: Command;
      readonly invocation: Omit<Invocation, 'signal'>;
    };

const HELP_WORDS: ReadonlySet<string> = new Set(['--help', '-h', 'help']);

/** The second words of the commands that begin with `word`. */
function groupOf(word: string): readonly string[] {
  const prefix = `${word} `;
  return [...COMMANDS.keys()].filter(name => name.startsWith(prefix)).map(name => name.slice(prefix.length));
}

/** @throws UsageError */
export async function readCommandLine(argv: readonly string[]): Promise<Request> {
  const [first, second] = argv;
  if (first === undefined) throw new UsageError("expected a command (try 'seekable-oci --help')");
  if (HELP_WORDS.has(first)) return { kind: 'print', text: overview('') };
  if (first === '--version') return { kind: 'version' };
  const group = groupOf(first);
  if (group.length > 0) {
    if (second === undefined) {
      const expected = `expected a command after '${first}': ${group.join(', ')}`;
      throw new UsageError(`${expected} (try 'seekable-oci ${first} --help')`);
    }
    if (HELP_WORDS.has(second)) return { kind: 'print', text: overview(first) };
  }
  const words = COMMANDS.has(first) ? 1 : 2;
  const name = argv.slice(0, words).join(' ');
  const entry = COMMANDS.get(name);
  if (entry === undefined) {
    const where = group.length > 0 ? `seekable-oci ${first}` : 'seekable-oci';
    throw new UsageError(
      `unknown command '${name}'${meant(name, [...COMMANDS.keys()])} (try '${where} --help')`,
    );
  }
  return commandRequest(name, await entry.load(), argv.slice(words));
}

/** `, did you mean '--json'?`, or nothing. */
function meant(word: string, words: readonly string[], prefix = ''): string {
  const found = nearest(word, words);
  return found === undefined ? '' : `, did you mean '${prefix}${found}'?`;
}

function parse(name: string, table: OptionTable, args: readonly string[]) {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const [key, { type, short, multiple = false }] of Object.entries(table)) {
    options[key] = short === undefined ? { type, multiple } : { type, short, multiple };
  }
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    // parseArgs explains itself over several sentences; the first says what is wrong.
    const [reason = ''] = (error as Error).message.split(/\. |\n/);
    const option = /^Unknown option '--(.+)'/.exec(reason)?.[1];
    const hint = option === undefined ? '' : meant(option, Object.keys(table), '--');
    throw new UsageError(`${name}: ${reason}${hint} (try 'seekable-oci ${name} --help')`, { cause: error });
  }
}

function commandRequest(name: string, command: Command, args: readonly string[]): Request {
  const { values, positionals } = parse(name, { ...command.options, ...HELP_OPTION }, args);
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
    `${name}: expected ${operands.join(' ')}, found ${found} operands instead of ${count} ` +
      `(try 'seekable-oci ${name} --help')`,
  );
}
