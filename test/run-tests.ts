/**
 * Runs test files, as many at a time as there are processors, each in a process of its own.
 * `tap run` does that too, but preloads into each a thread that every module passes on its
 * way in, to know which files a test has used: more than a second of CPU time for each file.
 *
 *   node .test-build/test/run-tests.js                    all but e2e and soak
 *   node .test-build/test/run-tests.js span tar/time      what is in these folders or files
 *   node .test-build/test/run-tests.js !cli !lint         all but these folders, e2e and soak
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';

const ROOT = import.meta.dirname;
const SUFFIX = '.test.js';
/** Those that need tools which are not always there, and those that take minutes. */
const ON_DEMAND = ['e2e', 'soak'];

interface Result {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly string[];
}

/** Paths below ROOT, sorted. */
function testFiles(words: readonly string[]): string[] {
  const left = words.filter(word => word.startsWith('!')).map(word => word.slice(1));
  const chosen = words.filter(word => !word.startsWith('!'));
  const isIn = (file: string) => (place: string) => file === place + SUFFIX || file.startsWith(`${place}/`);
  return readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
    .map(file => file.replaceAll('\\', '/'))
    .filter(file => file.endsWith(SUFFIX))
    .filter(file => (chosen.length > 0 ? chosen.some(isIn(file)) : !ON_DEMAND.some(isIn(file))))
    .filter(file => !left.some(isIn(file)))
    .sort();
}

/** What TAP says of the assertions; the lines of subtests sum up others and bear a time. */
function resultOf(tap: string, complete: boolean): Result {
  const lines = tap.split('\n');
  const own = lines.filter(
    line => /^ *(?:not )?ok \d+/.test(line) && !/ # time=[\d.]+ms(?: \{)?$/.test(line),
  );
  const failed = own.filter(line => /^ *not ok/.test(line) && !/ # (?:SKIP|TODO)/i.test(line)).length;
  const skipped = own.filter(line => / # SKIP/i.test(line)).map(line => line.trim());
  const passed = own.length - failed - skipped.length;
  // A process that ended before its last test said so has not passed, whatever its exit status.
  const plan = /^1\.\.(\d+)/m.exec(tap)?.[1];
  const ended = lines.filter(line => /^(?:not )?ok \d+/.test(line)).length;
  const whole = complete && Number(plan) === ended && ended > 0;
  return { passed, skipped, failed: whole ? failed : Math.max(1, failed) };
}

async function run(file: string, seconds: number): Promise<Result> {
  const started = performance.now();
  const path = join(ROOT, file);
  const child = spawn(process.execPath, ['--expose-gc', '--enable-source-maps', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TAP: '1', TAP_TIMEOUT: String(seconds) },
    // Half as long again: tap itself says which test it was, if it can.
    timeout: seconds * 1500,
    killSignal: 'SIGKILL',
  });
  const out: Buffer[] = [];
  const said: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
  const [status, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve([status, signal]));
  });
  const tap = Buffer.concat(out).toString();
  const result = resultOf(tap, status === 0);
  const time = `${((performance.now() - started) / 1000).toFixed(1)} s`.padStart(7);
  const lines = [`${result.failed === 0 ? 'passed' : 'FAILED'} ${time}  ${file}`];
  if (result.failed > 0) {
    lines.push(...tap.split('\n').filter(line => !/^(?: *ok \d+|# [{]|\s*$)/.test(line)));
    lines.push(`not ok - ${relative(process.cwd(), path)}: status ${status}, signal ${signal}`);
  } else lines.push(...result.skipped.map(line => `  ${line}`));
  process.stdout.write(`${lines.join('\n')}\n${Buffer.concat(said)}`);
  return result;
}

const [seconds = '300', ...words] = process.argv[2]?.startsWith('--timeout=')
  ? [process.argv[2].slice('--timeout='.length), ...process.argv.slice(3)]
  : ['300', ...process.argv.slice(2)];
const files = testFiles(words);
const waiting = [...files];
const results: Result[] = [];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      results.push(await run(file, Number(seconds)));
    }
  }),
);
const sum = (count: (result: Result) => number) => results.reduce((total, each) => total + count(each), 0);
const [pass, fail, skip] = [
  sum(each => each.passed),
  sum(each => each.failed),
  sum(each => each.skipped.length),
];
// As tap has it, for whoever counts them.
process.stdout.write(`# { total: ${pass + fail + skip}, pass: ${pass}, fail: ${fail}, skip: ${skip} }\n`);
if (files.length === 0) process.stdout.write(`no test files: ${words.join(' ')}\n`);
process.exitCode = files.length === 0 || fail > 0 ? 1 : 0;
