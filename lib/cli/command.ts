/**
 * What a command is: its operands and options as data, from which both the
 * parsing and the help text are made, and the function that runs it.
 */

export interface OptionSpec {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  /** May be given several times. */
  readonly multiple?: true;
  /** What the value is called in the help, e.g. `FILE`. */
  readonly value?: string;
  readonly help: string;
}

export type OptionTable = Readonly<Record<string, OptionSpec>>;

export type OptionValue = string | boolean | readonly string[] | undefined;

/** Where a command reads and writes; tests and main.ts differ in nothing else. */
export interface Invocation {
  /** In the order of `Command.operands`; only the last may be missing, or be there several times. */
  readonly operands: readonly string[];
  readonly options: Readonly<Record<string, OptionValue>>;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

export interface Command {
  readonly summary: string;
  /** Names of the operands; the last may be `[OPTIONAL]`, or `REPEATED…` for one or more. */
  readonly operands: readonly string[];
  readonly options: OptionTable;
  /** Lines below the options in the help. */
  readonly notes?: readonly string[];
  run(invocation: Invocation): Promise<void>;
}

/** A command line that cannot be understood: exit status 2. */
export class UsageError extends Error {
  readonly code = 'ERR_SOCI_INVALID_ARGUMENT';
}

/** A command that said all there is to say and only has to end with this status. */
export class ExitStatus extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit status ${status}`);
    this.status = status;
  }
}

/** An option that every command understands, and its last lines of help. */
export const HELP_OPTION: OptionTable = {
  help: { type: 'boolean', short: 'h', help: 'print this help' },
};

/** Options of every command that reads a ztoc. */
export const ZTOC_DIGEST_OPTION: OptionTable = {
  'ztoc-digest': {
    type: 'string',
    value: 'DIGEST',
    help: 'refuse the ztoc unless its SHA-256 is this (sha256:…)',
  },
};

/** The value of a string option, or undefined. */
export function optionText({ options }: Invocation, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** All values of an option that may be given several times. */
export function optionList({ options }: Invocation, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value : [];
}

/** The value of an option that is a number, written as `form` says, or undefined. @throws UsageError */
export function optionNumber(invocation: Invocation, name: string, form: RegExp): number | undefined {
  const text = optionText(invocation, name);
  if (text === undefined || form.test(text)) return text === undefined ? undefined : Number(text);
  throw new UsageError(`expected a number for --${name}, received '${text}'`);
}

/** The value of an option that is a number of bytes, or undefined. @throws UsageError */
export function optionBytes(invocation: Invocation, name: string, least: 0 | 1): number | undefined {
  const text = optionText(invocation, name);
  if (text === undefined) return undefined;
  const bytes = /^\d+$/.test(text) ? Number(text) : -1;
  if (Number.isSafeInteger(bytes) && bytes >= least) return bytes;
  throw new UsageError(`expected a number of bytes, at least ${least}, for --${name}, received '${text}'`);
}
