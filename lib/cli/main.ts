#!/usr/bin/env node
/**
 * The command `seekable-oci`: runs what the command line asks for and turns the
 * outcome into an exit status and at most one line on standard error.
 */
import { ExitStatus, UsageError } from './command.js';
import { readCommandLine } from './command-line.js';
import { asksForJson, errorAsJson } from './json-error.js';
import { printable } from './printable.js';
import { OutputClosed, writeOut } from './standard-output.js';
import { version } from './version.js';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
/** 128 + the signal's number, as a shell reports a program that a signal ended. */
const EXIT_BY_SIGNAL = { SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;

class Interrupted extends Error {
  readonly status: number;

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(signal);
    this.status = EXIT_BY_SIGNAL[signal];
  }
}

const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // The first signal asks the command to tidy up; a second one does not wait for it.
    if (interruption.signal.aborted) process.exit(EXIT_BY_SIGNAL[name]);
    interruption.abort(new Interrupted(name));
  });
}
// Every write reports its own failure; this only keeps the event from being fatal.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

async function run(argv: readonly string[]): Promise<void> {
  const request = await readCommandLine(argv);
  if (request.kind === 'version') await writeOut(`${version()}\n`);
  else if (request.kind === 'print') await writeOut(request.text);
  else await request.command.run({ ...request.invocation, signal: interruption.signal });
}

function report(error: unknown, argv: readonly string[]): void {
  const { message, code, stack } = error as Error & { code?: string };
  if (asksForJson(argv)) {
    process.stderr.write(`${errorAsJson(error)}\n`);
    return;
  }
  // An error without a code is a fault of this program: its stack is what a report needs.
  const text =
    code === undefined ? `internal error: ${stack ?? String(error)}` : `${printable(message)} [${code}]`;
  process.stderr.write(`seekable-oci: ${text}\n`);
}

function exitStatus(error: unknown): number {
  if (interruption.signal.aborted) return (interruption.signal.reason as Interrupted).status;
  if (error instanceof OutputClosed) return EXIT_BY_SIGNAL.SIGPIPE;
  if (error instanceof ExitStatus) {
    if (error.cause instanceof OutputClosed) return EXIT_BY_SIGNAL.SIGPIPE;
    if (error.cause !== undefined) report(error.cause, process.argv.slice(2));
    return error.status;
  }
  report(error, process.argv.slice(2));
  return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILURE;
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  process.exitCode = exitStatus(error);
  // A pipe that is still open on standard input, or a job of the pool, must not hold up the end.
  if (interruption.signal.aborted) process.exit();
}
