/**
 * Runs the command: with `command` in this process, as a function of streams and an environment
 * that it is given, and with `start` as a user does, in a process of its own, for what signals,
 * closed pipes and the exit of a process are about.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable, Writable } from 'node:stream';
import type { Test } from 'tap';
import { runCommandLine } from '../../lib/cli/run-command-line.js';
import { StandardOutput } from '../../lib/cli/standard-output.js';

/** The compiled command of this test build: tests never run a stale dist/. */
const MAIN = resolve(import.meta.dirname, '../../lib/cli/main.js');

/** A home of our own: no credentials and no cache of whoever runs the tests. */
const HOME = mkdtempSync(join(tmpdir(), 'seekable-oci-cli-'));
process.on('exit', () => rmSync(HOME, { recursive: true, force: true }));
export const CACHE: string = join(HOME, 'cache', 'seekable-oci');

export type Environment = Readonly<Record<string, string>>;

export interface Outcome {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

function environment(more: Environment): NodeJS.ProcessEnv {
  const { REGISTRY_AUTH_FILE: _, XDG_RUNTIME_DIR: __, ...inherited } = process.env;
  const home = { HOME, XDG_CACHE_HOME: join(HOME, 'cache'), XDG_CONFIG_HOME: HOME, DOCKER_CONFIG: HOME };
  return { ...inherited, ...home, ...more };
}

export function start(args: readonly string[], more: Environment = {}): ChildProcess {
  // The test runner adds preloads to every node that is spawned, which doubles its start-up time; `env` takes
  // them away again and becomes the command, so that signals reach it.
  return spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, MAIN, ...args], {
    stdio: 'pipe',
    env: environment(more),
  });
}

export async function finished(child: ChildProcess): Promise<Outcome> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve([status, signal]));
  });
  return { status, signal, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() };
}

/** As `command` does, but in a process of its own. */
export async function spawned(
  args: readonly string[],
  input: Uint8Array = Buffer.alloc(0),
  env: Environment = {},
): Promise<Outcome> {
  const child = start(args, env);
  child.stdin?.on('error', () => undefined).end(input);
  return finished(child);
}

/** A stream that takes what is written a while after the write began, as a slow pipe does. */
function collector(): { readonly stream: Writable; bytes(): Buffer } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Uint8Array, _encoding, done) {
      setImmediate(() => {
        chunks.push(Buffer.from(chunk));
        done();
      });
    },
  });
  return { stream, bytes: () => Buffer.concat(chunks) };
}

export async function command(
  args: readonly string[],
  input: Uint8Array = Buffer.alloc(0),
  env: Environment = {},
): Promise<Outcome> {
  const out = collector();
  const err = collector();
  const stdin = Readable.from(input.length === 0 ? [] : [Buffer.from(input)], { objectMode: false });
  const status = await runCommandLine(args, {
    input: () => stdin,
    output: new StandardOutput(out.stream),
    errors: err.stream,
    env: environment(env),
    signal: new AbortController().signal,
  });
  for (const { stream } of [out, err]) await new Promise<void>(resolve => stream.end(resolve));
  return { status, signal: null, stdout: out.bytes(), stderr: err.bytes().toString() };
}

/** Nothing was printed but one line with the code. */
export function fails(t: Test, { status, stdout, stderr }: Outcome, code: string, expected = 1): void {
  t.equal(status, expected, stderr);
  t.equal(stdout.length, 0, 'nothing on standard output');
  t.match(stderr, /^seekable-oci: [^\n]+\n$/, 'one line on standard error');
  t.ok(stderr.endsWith(`[${code}]\n`), `[${code}]: ${stderr}`);
}
