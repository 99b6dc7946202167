/** Building a ztoc on one thread and on those of the machine, against bare inflate passes of zlib and ISA-L, and against gzip(1) and igzip(1). */
import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { compile, compileIsal } from '../compile.js';
import { realLayer, SPAN_SIZE } from '../corpus.js';
import { type Measures, run, trial, yardstick } from '../process.js';
import { megabytesPerSecond, type Report, type Row, times } from '../report.js';
import { inRounds, value } from '../rounds.js';

const ROUNDS = 5;

const PASS = 'bare inflate pass, zlib';
const ISAL = 'bare inflate pass, ISA-L';
const ONE_THREAD = 'buildZtoc, one thread decodes';

export async function build(): Promise<Report> {
  const layer = await realLayer();
  const program = await compile('inflate-pass');
  const isal = await compileIsal();
  const command = (name: string) => async (): Promise<Measures> => {
    const start = performance.now();
    await run('sh', ['-c', `${name} -dc "$0" > /dev/null`, layer.path]);
    return { milliseconds: performance.now() - start };
  };
  const building = (options: object) => () =>
    trial('buildTrial', {
      layer: layer.path,
      spanSize: SPAN_SIZE,
      diffId: false,
      engine: 'fast',
      ...options,
    });
  const igzip = isal === undefined ? [] : ['igzip'];
  const results = await inRounds(ROUNDS, [
    { name: PASS, run: () => yardstick(program, [layer.path]) },
    ...(isal === undefined ? [] : [{ name: ISAL, run: () => yardstick(isal, [layer.path]) }]),
    ...['gzip', ...igzip].map(name => ({ name: `${name} -dc`, run: command(name) })),
    { name: 'buildZtoc', run: building({}) },
    { name: ONE_THREAD, run: building({ threads: 1 }) },
    { name: 'buildZtoc with diffID', run: building({ diffId: true }) },
    { name: "buildZtoc, engine 'zlib'", run: building({ engine: 'zlib' }) },
  ]);
  const output = value(results.of(PASS), 'bytes');
  const input = statSync(layer.path).size;
  const time = (name: string) => value(results.of(name), 'milliseconds');
  const cpu = (name: string) => value(results.of(name), 'cpu');
  const row = (name: string, base?: string, aim = ''): Row => {
    const rates = `${megabytesPerSecond(output, time(name))} out, ${megabytesPerSecond(input, time(name))} in`;
    if (base === undefined) return { name, value: rates };
    const byCpu = base.endsWith('-dc') ? '' : `; by CPU time ${times(cpu(base) / cpu(name))}`;
    return { name, value: rates, ratio: `${times(time(base) / time(name))} of: ${base}${aim}${byCpu}` };
  };
  return {
    title: 'build',
    conditions: `${layer.description}; span size 4 MiB; ${availableParallelism()} cores; file in the page cache (warm); medians of ${ROUNDS} processes`,
    rows: [
      row(PASS),
      row('buildZtoc', PASS),
      row(ONE_THREAD, PASS, ' (aim ≥ 1.80×)'),
      row('buildZtoc', ONE_THREAD),
      row('buildZtoc with diffID', PASS),
      row("buildZtoc, engine 'zlib'", PASS),
      ...(isal === undefined ? [] : [row(ISAL, PASS), row('buildZtoc', ISAL)]),
      ...['gzip', ...igzip].map(name => row('buildZtoc', `${name} -dc`)),
    ],
    raw: results.raw,
  };
}
