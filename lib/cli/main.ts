#!/usr/bin/env node
/** The command `seekable-oci`: a run of it, tied to this process with its streams, its environment and its signals. */
import { runCommandLine } from './run-command-line.js';
import { StandardOutput } from './standard-output.js';
import { EXIT_BY_SIGNAL, Interrupted } from './surroundings.js';

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

process.exitCode = await runCommandLine(process.argv.slice(2), {
  input: () => process.stdin,
  output: new StandardOutput(process.stdout),
  errors: process.stderr,
  env: process.env,
  signal: interruption.signal,
});
// A pipe that is still open on standard input, or a job of the pool, must not hold up the end.
if (interruption.signal.aborted) process.exit();
