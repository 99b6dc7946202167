/** Building a ztoc against bare inflate passes of zlib and ISA-L, and against gzip(1). */
import { statSync } from 'node:fs';
import { compile, compileIsal } from '../compile.js';
import { realLayer, SPAN_SIZE } from '../corpus.js';
import { type Measures, run, trial, yardstick } from '../process.js';
import { megabytesPerSecond, type Report, type Row, times } from '../report.js';
import { inRounds, value } from '../rounds.js';

const ROUNDS = 5;

const PASS = 'bare inflate pass, zlib';
const ISAL = 'bare inflate pass, ISA-L';

export async function build(): Promise<Report> {
  const layer = await realLayer();
  const program = await compile('inflate-pass');
  const isal = await compileIsal();
  const gzip = async (): Promise<Measures> => {
    const start = performance.now();
    await run('sh', ['-c', 'gzip -dc "$0" > /dev/null', layer.path]);
    return { milliseconds: performance.now() - start };
  };
  const building = (diffId: boolean, engine: string) => () =>
    trial('buildTrial', { layer: layer.path, spanSize: SPAN_SIZE, diffId, engine });
  const results = await inRounds(ROUNDS, [
    { name: PASS, run: () => yardstick(program, [layer.path]) },
    ...(isal === undefined ? [] : [{ name: ISAL, run: () => yardstick(isal, [layer.path]) }]),
    { name: 'gzip -dc', run: gzip },
    { name: 'buildZtoc', run: building(false, 'fast') },
    { name: 'buildZtoc with diffID', run: building(true, 'fast') },
    { name: "buildZtoc, engine 'zlib'", run: building(false, 'zlib') },
  ]);
  const output = value(results.of(PASS), 'bytes');
  const input = statSync(layer.path).size;
  const time = (name: string) => value(results.of(name), 'milliseconds');
  const cpu = (name: string) => value(results.of(name), 'cpu');
  const row = (name: string, base?: string, aim = ''): Row => {
    const rates = `${megabytesPerSecond(output, time(name))} out, ${megabytesPerSecond(input, time(name))} in`;
    if (base === undefined) return { name, value: rates };
    const byCpu = base === 'gzip -dc' ? '' : `; by CPU time ${times(cpu(base) / cpu(name))}`;
    return { name, value: rates, ratio: `${times(time(base) / time(name))} of: ${base}${aim}${byCpu}` };
  };
  return {
    title: 'build',
    conditions: `${layer.description}; span size 4 MiB; one thread decoding and hashing; file in the page cache (warm); medians of ${ROUNDS} processes`,
    rows: [
      row(PASS),
      row('buildZtoc', PASS, ' (aim ≥ 1.80×)'),
      row('buildZtoc with diffID', PASS),
      row("buildZtoc, engine 'zlib'", PASS),
      ...(isal === undefined ? [] : [row(ISAL, PASS), row('buildZtoc', ISAL)]),
      row('buildZtoc', 'gzip -dc'),
    ],
    raw: results.raw,
  };
}
