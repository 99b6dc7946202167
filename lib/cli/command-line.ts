/**
 * From argv to what shall be done: a help text, or a command with its operands
 * and options. Whatever does not fit the command table is a UsageError.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { type Command, HELP_OPTION, type Invocation, type OptionTable, UsageError } from './command.js';
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

const HELP_WORDS = new Set(['--help', '-h', 'help']);

function isGroup(word: string): boolean {
  return [...COMMANDS.keys()].some(name => name.startsWith(`${word} `));
}

/** @throws UsageError */
export async function readCommandLine(argv: readonly string[]): Promise<Request> {
  const [first, second] = argv;
  if (first === undefined) throw new UsageError("expected a command (try 'seekable-oci --help')");
  if (HELP_WORDS.has(first)) return { kind: 'print', text: overview('') };
  if (first === '--version') return { kind: 'version' };
  if (isGroup(first) && second !== undefined && HELP_WORDS.has(second)) {
    return { kind: 'print', text: overview(first) };
  }
  const name = `${first} ${second ?? ''}`.trimEnd();
  const entry = COMMANDS.get(name);
  if (entry === undefined) {
    const where = isGroup(first) ? `seekable-oci ${first}` : 'seekable-oci';
    throw new UsageError(`unknown command '${name}' (try '${where} --help')`);
  }
  return commandRequest(name, await entry.load(), argv.slice(2));
}

function parse(name: string, table: OptionTable, args: readonly string[]) {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const [key, { type, short }] of Object.entries(table)) {
    options[key] = short === undefined ? { type } : { type, short };
  }
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    // parseArgs explains itself over several sentences; the first says what is wrong.
    const [reason = ''] = (error as Error).message.split(/\. |\n/);
    throw new UsageError(`${name}: ${reason} (try 'seekable-oci ${name} --help')`, { cause: error });
  }
}

function commandRequest(name: string, command: Command, args: readonly string[]): Request {
  const { values, positionals } = parse(name, { ...command.options, ...HELP_OPTION }, args);
  if (values['help'] === true) return { kind: 'print', text: commandHelp(name, command) };
  const { operands } = command;
  if (positionals.length !== operands.length) {
    const expected = operands.join(' ');
    throw new UsageError(
      `${name}: expected ${expected}, found ${positionals.length} of ${operands.length} operands ` +
        `(try 'seekable-oci ${name} --help')`,
    );
  }
  const options = values as Record<string, string | boolean | undefined>;
  return { kind: 'run', command, invocation: { operands: positionals, options } };
}
