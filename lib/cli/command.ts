/**
 * What a command is: its operands and options as data, from which both the
 * parsing and the help text are made, and the function that runs it.
 */
import type { Surroundings } from './surroundings.js';

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

/** What a command is asked for. */
export interface Arguments {
  /** In the order of `Command.operands`; only the last may be missing, or be there several times. */
  readonly operands: readonly string[];
  readonly options: Readonly<Record<string, OptionValue>>;
}

/** What it is asked for, and where it reads and writes. */
export interface Invocation extends Arguments, Surroundings {}

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

/** A command that has to end with this status, and has said all there is to say but for `cause`. */
export class ExitStatus extends Error {
  readonly status: number;

  constructor(status: number, options: ErrorOptions = {}) {
    super(`exit status ${status}`, options);
    this.status = status;
  }
}

/** With `--help`, which every command has; `-h` is its short name unless the command means something else by it. */
export function allOptions({ options }: Pick<Command, 'options'>): OptionTable {
  const taken = Object.values(options).some(({ short }) => short === 'h');
  const help = { type: 'boolean', help: 'print this help' } as const;
  return { ...options, help: taken ? help : { ...help, short: 'h' } };
}

/** An option of commands that show how far they are. */
export const QUIET_OPTION: OptionTable = {
  quiet: { type: 'boolean', help: 'say nothing on standard error but errors' },
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
export function optionText({ options }: Arguments, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** All values of an option that may be given several times. */
export function optionList({ options }: Arguments, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value : [];
}

/** The value of an option that is a number, written as `form` says, or undefined. @throws UsageError */
export function optionNumber(asked: Arguments, name: string, form: RegExp): number | undefined {
  const text = optionText(asked, name);
  if (text === undefined || form.test(text)) return text === undefined ? undefined : Number(text);
  throw new UsageError(`expected a number for --${name}, received '${text}'`);
}

/** The value of an option that is a number from 0 on, or undefined. @throws UsageError */
export function optionCount(asked: Arguments, name: string): number | undefined {
  return optionNumber(asked, name, /^\d{1,9}$/);
}

/** Powers as IEC 80000-13 names them, and those of ten. */
const BYTE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

/** The value of an option that is a number of bytes (`4194304`, `4MiB`), or undefined. @throws UsageError */
export function optionBytes(asked: Arguments, name: string, least: 0 | 1): number | undefined {
  const text = optionText(asked, name);
  if (text === undefined) return undefined;
  const bytes = parseBytes(text);
  if (bytes !== undefined && bytes >= least) return bytes;
  throw new UsageError(
    `expected a number of bytes (4194304, 4MiB, 512KiB), at least ${least}, for --${name}, received '${text}'`,
  );
}

/** Undefined for what is no size, or more than can be counted. */
export function parseBytes(text: string): number | undefined {
  const [, digits, unit = 'b'] = /^(\d+)([A-Za-z]+)?$/.exec(text) ?? [];
  const bytes = Number(digits) * (BYTE_UNITS[unit.toLowerCase()] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
