/**
 * Other people's programs: run to their end, or kept running as servers on a
 * free port of the loopback interface until the test is over, however it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Teardown } from '../../registry/fixture.js';
import { findTool } from './tools.js';

const START_MS = 20_000;
const RUN_MS = 120_000;
/** Between asking for a free port and using it somebody else may take it. */
const ATTEMPTS = 5;
const LOG_BYTES = 2 ** 22;

export interface RunOptions {
  readonly input?: Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Standard output of a program that must succeed. */
export async function run(name: string, args: readonly string[], options: RunOptions = {}): Promise<Buffer> {
  const child = launch(name, args, options);
  const out: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  const log = logOf(child, 'stderr');
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);
  const timer = setTimeout(() => child.kill('SIGKILL'), RUN_MS);
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  if (status !== 0) {
    throw new Error(`${name} ${args.join(' ')}: ended with ${status ?? signal}\n${log()}`);
  }
  return Buffer.concat(out);
}

/** What to start on a port, and how to tell that it serves there. */
export interface ServerProgram {
  readonly name: string;
  readonly args: readonly string[];
  readonly ready: () => Promise<boolean>;
}

/** A server process. `prepare` writes its configuration for the port that it shall use. */
export class ServerProcess {
  readonly port: number;
  readonly #program: ServerProgram;
  #started: Started;

  private constructor(port: number, program: ServerProgram, started: Started) {
    this.port = port;
    this.#program = program;
    this.#started = started;
  }

  static async start(
    t: Teardown,
    prepare: (port: number) => Promise<ServerProgram> | ServerProgram,
  ): Promise<ServerProcess> {
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const program = await prepare(port);
      try {
        const server = new ServerProcess(port, program, await startReady(program));
        t.teardown(() => server.stop());
        return server;
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  /** Its standard output since it was started. */
  get output(): string {
    return this.#started.output();
  }

  async stop(): Promise<void> {
    await end(this.#started.child);
  }

  /** As if it had crashed: killed and started again, on the same port, with the same configuration files. */
  async crash(): Promise<void> {
    this.#started.child.kill('SIGKILL');
    await end(this.#started.child);
    this.#started = await startReady(this.#program);
  }
}

/** Servers must not outlive a test that the runner ends for taking too long. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

interface Started {
  readonly child: ChildProcess;
  readonly output: () => string;
}

async function startReady(program: ServerProgram): Promise<Started> {
  const child = launch(program.name, program.args, {});
  running.add(child);
  child.once('close', () => running.delete(child));
  child.stdin?.end();
  const output = logOf(child, 'stdout');
  const err = logOf(child, 'stderr');
  const deadline = Date.now() + START_MS;
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    if (await program.ready().catch(() => false)) {
      // Another process may have answered on that port while ours was dying for want of it.
      await sleep(20);
      if (child.exitCode === null && child.signalCode === null) return { child, output };
    }
    await sleep(20);
  }
  await end(child);
  throw new Error(`${program.name} ${program.args.join(' ')} does not serve\n${output()}${err()}`);
}

function launch(name: string, args: readonly string[], options: RunOptions): ChildProcess {
  const path = findTool(name);
  if (path === undefined) throw new Error(`not installed: ${name}`);
  // No proxies, no credentials and no test runner's preloads of whoever runs the tests.
  const { PATH, HOME, TMPDIR } = process.env;
  const own = { PATH, HOME, TMPDIR, LC_ALL: 'C.UTF-8', TZ: 'UTC' };
  return spawn(path, args, { cwd: options.cwd, env: { ...own, ...options.env }, stdio: 'pipe' });
}

/** Reads a stream to the end and keeps its last part for messages. */
function logOf(child: ChildProcess, stream: 'stdout' | 'stderr'): () => string {
  let log = '';
  child[stream]?.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-LOG_BYTES);
  });
  return () => log;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
  await closed;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
