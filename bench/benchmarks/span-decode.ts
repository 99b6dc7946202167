/** Span decoding: the addon against a bare C loop, node:zlib, and itself on two cores; and where to hash the spans. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Ztoc } from '../../lib/index.js';
import { compile, compileCoreLoop } from '../compile.js';
import { realLayer } from '../corpus.js';
import { trial } from '../process.js';
import { megabytesPerSecond, type Report, type Row, times } from '../report.js';
import { inRounds, value } from '../rounds.js';
import { spanLoop } from '../span-loop.js';

const ROUNDS = 5;
const PASSES = 3;

const LOOP = 'C loop over zlib';
const ZLIB = "loop over the core, engine 'zlib'";
const CORE = 'loop over the core';
const GIVEN = "one job at a time, to the caller's buffer";
const ONE = 'one job at a time, to new memory';
const IN_JOB = 'one at a time, SHA-256 in the job';
const BY_NODE = 'one at a time, SHA-256 by node:crypto';
const TWO = 'two at once';
const TWO_IN_JOB = 'two at once, SHA-256 in the job';
const TWO_BY_NODE = 'two at once, SHA-256 by node:crypto';
const WHOLE = 'node:zlib, whole stream';

export async function spanDecode(): Promise<Report> {
  const layer = await realLayer();
  const ztoc = Ztoc.decode(readFileSync(layer.ztocPath));
  const addon = (concurrency: number, digests = 'none', output = 'new') => {
    const parameters = {
      layer: layer.path,
      ztoc: layer.ztocPath,
      engine: 'fast',
      concurrency,
      digests,
      output,
    };
    return () => trial('decodeSpans', { ...parameters, passes: PASSES });
  };
  const zlib = await spanLoop(await compile('span-loop'), layer, PASSES);
  const core = await spanLoop(await compileCoreLoop(), layer, PASSES);
  const results = await inRounds(ROUNDS, [
    { name: LOOP, run: () => zlib() },
    { name: ZLIB, run: () => core('zlib') },
    { name: CORE, run: () => core('fast') },
    { name: GIVEN, run: addon(1, 'none', 'given') },
    { name: ONE, run: addon(1) },
    { name: IN_JOB, run: addon(1, 'job') },
    { name: BY_NODE, run: addon(1, 'node:crypto') },
    { name: TWO, run: addon(2) },
    { name: TWO_IN_JOB, run: addon(2, 'job') },
    { name: TWO_BY_NODE, run: addon(2, 'node:crypto') },
    { name: WHOLE, run: () => trial('nodeZlib', { layer: layer.path }) },
  ]);
  const rate = (name: string) => value(results.of(name), 'bytes') / value(results.of(name), 'milliseconds');
  /** On a busy machine CPU time is the fairer measure of what one thread does. */
  const cpu = (name: string) => value(results.of(name), 'bytes') / value(results.of(name), 'cpu');
  const against = (name: string, base: string, aim = ''): Row => ({
    name,
    value: megabytesPerSecond(rate(name), 1),
    ratio: `${times(rate(name) / rate(base))} of: ${base}${aim}; by CPU time ${times(cpu(name) / cpu(base))}`,
  });
  return {
    title: 'span decode',
    conditions:
      `${layer.description}; ${ztoc.spanCount} spans of 4 MiB; in memory (warm); ` +
      `medians of ${ROUNDS} processes, fastest of ${PASSES} passes each; ${availableParallelism()} cores`,
    rows: [
      { name: LOOP, value: megabytesPerSecond(rate(LOOP), 1) },
      against(ZLIB, LOOP, ' (aim ≥ 0.95×)'),
      against(CORE, LOOP, ' (aim ≥ 2.20×)'),
      against(GIVEN, CORE, ' (aim ≥ 0.92×)'),
      against(ONE, CORE),
      against(ONE, WHOLE, ' (aim ≥ 1.50×)'),
      against(IN_JOB, ONE),
      against(BY_NODE, ONE),
      against(TWO, ONE),
      against(TWO_IN_JOB, IN_JOB),
      against(TWO_BY_NODE, TWO_IN_JOB),
    ],
    raw: results.raw,
  };
}
