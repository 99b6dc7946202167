/**
 * `npm run bench [-- --only NAME] [--json FILE]`: runs the benchmarks one after the
 * other and prints each as ratios between things measured in the same run.
 * `--only against --baseline DIR [--pairs N] [--require FACTOR]` compares with another build, and so do
 * `--only first-byte --baseline DIR` and `--only load-order --baseline DIR`.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { against } from './benchmarks/against.js';
import { build } from './benchmarks/build.js';
import { coldRead } from './benchmarks/cold-read.js';
import { engines } from './benchmarks/engines.js';
import { firstByte } from './benchmarks/first-byte.js';
import { giantBlock } from './benchmarks/giant-block.js';
import { lanes } from './benchmarks/lanes.js';
import { loadOrder } from './benchmarks/load-order.js';
import { memory } from './benchmarks/memory.js';
import { planning } from './benchmarks/planning.js';
import { pull } from './benchmarks/pull.js';
import { remoteImage } from './benchmarks/remote-image.js';
import { scaling } from './benchmarks/scaling.js';
import { secondStart } from './benchmarks/second-start.js';
import { spanDecode } from './benchmarks/span-decode.js';
import { tarOrder } from './benchmarks/tar-order.js';
import { toc } from './benchmarks/toc.js';
import { versus } from './benchmarks/versus.js';
import { printReport, type Report } from './report.js';

const BENCHMARKS: Readonly<Record<string, () => Promise<Report>>> = {
  against: comparison,
  engines,
  'span-decode': spanDecode,
  scaling,
  build,
  memory,
  'cold-read': coldRead,
  toc,
  'giant-block': giantBlock,
  planning,
  'remote-image': remoteImage,
  'first-byte': () => firstByte(values.baseline),
  lanes,
  'load-order': () => loadOrder(values.baseline),
  'second-start': secondStart,
  'tar-order': tarOrder,
  pull,
  versus,
};

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
    baseline: { type: 'string' },
    pairs: { type: 'string', default: '15' },
    require: { type: 'string' },
  },
});

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}

/** A number above zero that option `name` gives. */
function positive(name: string, text: string): number {
  const number = Number(text);
  return number > 0 && Number.isFinite(number)
    ? number
    : refuse(`--${name}: not a number above zero: ${text}`);
}

function comparison(): Promise<Report> {
  const { baseline } = values;
  if (baseline === undefined) refuse("'against' needs --baseline DIR, another checkout that was built");
  const required = values.require === undefined ? undefined : positive('require', values.require);
  return against({ baseline, pairs: Math.ceil(positive('pairs', values.pairs)), required });
}

/** When none is named: the comparison that was asked for, or all that this checkout is measured by alone. */
const alone = Object.keys(BENCHMARKS).filter(name => name !== 'against');
const names = values.only ?? (values.baseline === undefined ? alone : ['against']);
for (const name of names) {
  if (!(name in BENCHMARKS)) {
    refuse(`no benchmark '${name}'; there are: ${Object.keys(BENCHMARKS).join(', ')}`);
  }
}

const machine = `${cpus()[0]?.model ?? process.arch}, ${availableParallelism()} cores, node ${process.version}`;
console.log(machine);
const reports: Report[] = [];
for (const name of names) {
  const report = await (BENCHMARKS[name] as () => Promise<Report>)();
  printReport(report);
  reports.push(report);
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ machine, reports }, undefined, 2)}\n`);
}
const failures = reports.flatMap(report => report.failures ?? []);
for (const failure of failures) console.error(failure);
if (failures.length > 0) process.exitCode = 1;
