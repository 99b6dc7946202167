/**
 * What a command is: its operands and options as data, from which both the
 * parsing and the help text are made, and the function that runs it.
 */

export interface OptionSpec {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  /** What the value is called in the help, e.g. `FILE`. */
  readonly value?: string;
  readonly help: string;
}

export type OptionTable = Readonly<Record<string, OptionSpec>>;

/** Where a command reads and writes; tests and main.ts differ in nothing else. */
export interface Invocation {
  /** One per name in `Command.operands`, in that order. */
  readonly operands: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

export interface Command {
  readonly summary: string;
  /** Names of the operands, all required. */
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
