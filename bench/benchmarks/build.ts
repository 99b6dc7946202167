/** Building a ztoc against a bare inflate pass of the same zlib, and against gzip(1). */
import { compile } from '../compile.js';
import { realLayer, SPAN_SIZE } from '../corpus.js';
import { type Measures, run, trial, yardstick } from '../process.js';
import { megabytesPerSecond, type Report, type Row, times } from '../report.js';
import { inRounds, value } from '../rounds.js';

const ROUNDS = 5;

export async function build(): Promise<Report> {
  const layer = await realLayer();
  const program = await compile('inflate-pass');
  const bare = () => yardstick(program, [layer.path]);
  const gzip = async (): Promise<Measures> => {
    const start = performance.now();
    await run('sh', ['-c', 'gzip -dc "$0" > /dev/null', layer.path]);
    return { milliseconds: performance.now() - start };
  };
  const building = (diffId: boolean) => () =>
    trial('buildTrial', { layer: layer.path, spanSize: SPAN_SIZE, diffId });
  const results = await inRounds(ROUNDS, [
    { name: 'bare inflate pass, same zlib', run: bare },
    { name: 'gzip -dc', run: gzip },
    { name: 'buildZtoc', run: building(false) },
    { name: 'buildZtoc with diffID', run: building(true) },
  ]);
  const bytes = value(results.of('bare inflate pass, same zlib'), 'bytes');
  const time = (name: string) => value(results.of(name), 'milliseconds');
  const cpu = (name: string) => value(results.of(name), 'cpu');
  const row = (name: string, base?: string, aim = ''): Row => {
    const cells = { name, value: megabytesPerSecond(bytes, time(name)) };
    return base === undefined
      ? cells
      : { ...cells, ratio: `${times(time(base) / time(name))} of: ${base}${aim}` };
  };
  const pass = 'bare inflate pass, same zlib';
  return {
    title: 'build',
    conditions: `${layer.description}; span size 4 MiB; one thread inflating; file in the page cache (warm); medians of ${ROUNDS} processes`,
    rows: [
      row(pass),
      row('gzip -dc', pass),
      row('buildZtoc', pass, ` (aim ≥ 0.85×); by CPU time ${times(cpu(pass) / cpu('buildZtoc'))}`),
      row('buildZtoc with diffID', pass),
      row('buildZtoc', 'gzip -dc'),
    ],
    raw: results.raw,
  };
}
