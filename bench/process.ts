/** Running a command to its end: one trial is one fresh process. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Its standard output; standard error goes through. */
export function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('error', reject);
    child.on('close', (status, signal) => {
      if (status === 0) resolve(output);
      else reject(new Error(`${command} ${args.join(' ')}: ended with ${status ?? signal}`));
    });
  });
}

/** Numbers that one trial measured. */
export type Measures = Readonly<Record<string, number>>;

/** The words in front of a command that say how it is run. */
export type Launcher = readonly string[];

/** With the first core for all of its threads (taskset is util-linux's). */
export const ON_ONE_CORE: Launcher = ['taskset', '-c', '0'];

/** Runs a trial of trial.ts in a process of its own. */
export async function trial(
  name: string,
  parameters: Readonly<Record<string, unknown>>,
  launcher: Launcher = [],
): Promise<Measures> {
  const script = fileURLToPath(new URL('trial.js', import.meta.url));
  const node = [process.execPath, '--expose-gc', script, name, JSON.stringify(parameters)];
  const [command, ...args] = [...launcher, ...node] as [string, ...string[]];
  return JSON.parse(await run(command, args)) as Measures;
}

/** A yardstick of bench/native/: it prints nanoseconds, we count milliseconds. */
export async function yardstick(program: string, args: readonly string[]): Promise<Measures> {
  const { nanoseconds, cpu, bytes } = JSON.parse(await run(program, args)) as Record<string, number>;
  if (nanoseconds === undefined || cpu === undefined || bytes === undefined) {
    throw new Error(`${program}: expected nanoseconds, cpu and bytes`);
  }
  return { milliseconds: nanoseconds / 1e6, cpu: cpu / 1e6, bytes };
}
