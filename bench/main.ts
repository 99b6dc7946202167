/**
 * `npm run bench [-- --only NAME] [--json FILE]`: runs the benchmarks one after the
 * other and prints each as ratios between things measured in the same run.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { build } from './benchmarks/build.js';
import { coldRead } from './benchmarks/cold-read.js';
import { engines } from './benchmarks/engines.js';
import { memory } from './benchmarks/memory.js';
import { remoteImage } from './benchmarks/remote-image.js';
import { scaling } from './benchmarks/scaling.js';
import { spanDecode } from './benchmarks/span-decode.js';
import { toc } from './benchmarks/toc.js';
import { printReport, type Report } from './report.js';

const BENCHMARKS: Readonly<Record<string, () => Promise<Report>>> = {
  engines,
  'span-decode': spanDecode,
  scaling,
  build,
  memory,
  'cold-read': coldRead,
  toc,
  'remote-image': remoteImage,
};

const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true }, json: { type: 'string' } },
});
const names = values.only ?? Object.keys(BENCHMARKS);
for (const name of names) {
  if (!(name in BENCHMARKS)) {
    console.error(`no benchmark '${name}'; there are: ${Object.keys(BENCHMARKS).join(', ')}`);
    process.exit(2);
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
