/**
 * One run of the command: does what the command line asks for and turns the outcome
 * into an exit status and at most one line on standard error.
 */
import { ExitStatus, UsageError } from './command.js';
import { readCommandLine } from './command-line.js';
import { asksForJson, errorAsJson } from './json-error.js';
import { printable } from './printable.js';
import { OutputClosed } from './standard-output.js';
import { EXIT_BY_SIGNAL, Interrupted, type Surroundings } from './surroundings.js';
import { version } from './version.js';

const EXIT_SUCCESS = 0;
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** The exit status. `argv` begins behind the program's name. Does not reject. */
export async function runCommandLine(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    await run(argv, surroundings);
    return EXIT_SUCCESS;
  } catch (error) {
    const { reason } = surroundings.signal;
    if (reason instanceof Interrupted) return reason.status;
    const failure = error instanceof ExitStatus ? error.cause : error;
    if (failure instanceof OutputClosed) return EXIT_BY_SIGNAL.SIGPIPE;
    if (failure !== undefined) surroundings.errors.write(errorText(failure, argv));
    if (error instanceof ExitStatus) return error.status;
    return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILURE;
  }
}

async function run(argv: readonly string[], surroundings: Surroundings): Promise<void> {
  const request = await readCommandLine(argv);
  if (request.kind === 'version') await surroundings.output.write(`${version()}\n`);
  else if (request.kind === 'print') await surroundings.output.write(request.text);
  else await request.command.run({ ...surroundings, ...request.invocation });
}

function errorText(error: unknown, argv: readonly string[]): string {
  if (asksForJson(argv)) return `${errorAsJson(error)}\n`;
  const { message, code, stack } = error as Error & { code?: string };
  // An error without a code is a fault of this program: its stack is what a report needs.
  const text =
    code === undefined ? `internal error: ${stack ?? String(error)}` : `${printable(message)} [${code}]`;
  return `seekable-oci: ${text}\n`;
}
