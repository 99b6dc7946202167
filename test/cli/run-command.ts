/** Runs the built command as a user does: a process of its own, nothing shared with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';

/** The compiled command of this test build: tests never run a stale dist/. */
const MAIN = resolve(import.meta.dirname, '../../lib/cli/main.js');

export interface Outcome {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export function start(args: readonly string[]): ChildProcess {
  // Without the test runner's preloads: they double the start-up time.
  const { NODE_OPTIONS: _, ...env } = process.env;
  return spawn(process.execPath, [MAIN, ...args], { stdio: 'pipe', env });
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
): Promise<Outcome> {
  const child = start(args);
  child.stdin?.on('error', () => undefined).end(input);
  return finished(child);
}
