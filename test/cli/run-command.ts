/** Runs the built command as a user does: a process of its own, nothing shared with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Test } from 'tap';

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

export function start(args: readonly string[], more: Environment = {}): ChildProcess {
  const { REGISTRY_AUTH_FILE: _, XDG_RUNTIME_DIR: __, ...inherited } = process.env;
  const home = { HOME, XDG_CACHE_HOME: join(HOME, 'cache'), XDG_CONFIG_HOME: HOME, DOCKER_CONFIG: HOME };
  const env = { ...inherited, ...home, ...more };
  // The test runner adds preloads to every node that is spawned, which doubles its start-up time; `env` takes
  // them away again and becomes the command, so that signals reach it.
  return spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, MAIN, ...args], { stdio: 'pipe', env });
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

export async function command(
  args: readonly string[],
  input: Uint8Array = Buffer.alloc(0),
  env: Environment = {},
): Promise<Outcome> {
  const child = start(args, env);
  child.stdin?.on('error', () => undefined).end(input);
  return finished(child);
}

/** Nothing was printed but one line with the code. */
export function fails(t: Test, { status, stdout, stderr }: Outcome, code: string, expected = 1): void {
  t.equal(status, expected, stderr);
  t.equal(stdout.length, 0, 'nothing on standard output');
  t.match(stderr, /^seekable-oci: [^\n]+\n$/, 'one line on standard error');
  t.ok(stderr.endsWith(`[${code}]\n`), `[${code}]: ${stderr}`);
}
