/**
 * All that a command has of the process it runs in. It is handed to it, so that
 * several can run in one process, each with streams and an environment of its own.
 */
import type { Readable, Writable } from 'node:stream';
import type { StandardOutput } from './standard-output.js';

/** Standard error, which may be a terminal of some width. */
export type ErrorStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Surroundings {
  /** Standard input. A function, since opening it has effects on what it is connected to. */
  input(): Readable;
  readonly output: StandardOutput;
  readonly errors: ErrorStream;
  readonly env: Environment;
  /** Aborted with an `Interrupted` when a signal ends the command. */
  readonly signal: AbortSignal;
}

/** 128 + the signal's number, as a shell reports a program that a signal ended. */
export const EXIT_BY_SIGNAL = { SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;

/** Why a command is aborted. */
export class Interrupted extends Error {
  readonly status: number;

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(signal);
    this.status = EXIT_BY_SIGNAL[signal];
  }
}
