/**
 * DEFLATE engines without anything around them: the programs of
 * bench/native/engines, on corpora out of this machine's files, by every gzip
 * writer that is installed.
 */
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../process.js';
import { type Report, type Row, times } from '../report.js';

const ROUNDS = 5;
const MEGABYTES = 16;
const SPAN_SIZES = ['1M', '256K'] as const;

/** What run.mjs writes. */
interface EngineRow {
  readonly file: string;
  /** Uncompressed bytes. */
  readonly out: number;
  readonly spans: Readonly<Record<'256K' | '1M' | '4M', number>>;
  /** Of an engine: MB of output per second of CPU time. */
  readonly [engine: string]: unknown;
}

export async function engines(): Promise<Report> {
  const results = join(tmpdir(), `seekable-oci-engines-${process.pid}.json`);
  let files: EngineRow[];
  try {
    const options = ['--rounds', `${ROUNDS}`, '--size', `${MEGABYTES}`, '--json', results];
    await run(process.execPath, ['bench/native/engines/run.mjs', ...options]);
    files = JSON.parse(readFileSync(results, 'utf8')) as EngineRow[];
  } finally {
    rmSync(results, { force: true });
  }
  return {
    title: 'engines',
    conditions:
      `${MEGABYTES} MiB of files of this machine per corpus, by gzip writer; one thread, no CRC, no SHA-256; ` +
      `in memory (warm); output by CPU time, medians of ${ROUNDS} interleaved rounds; ` +
      'ours in spans of 4 MiB from their windows (two at once on the one thread, against one after the other), the others whole streams but for ISA-L',
    rows: files.map(row),
    raw: { files },
  };
}

function row(file: EngineRow): Row {
  const ours = speed(file, 'fast 4M') ?? Number.NaN;
  const ratios = ['zlib', 'node', 'libdeflate', 'isal 4M'].flatMap(name => {
    const other = speed(file, name);
    return other === undefined ? [] : [`${times(ours / other)} ${name}`];
  });
  const spans = SPAN_SIZES.map(
    size => `${size} ${times((speed(file, `fast ${size}`) ?? Number.NaN) / ours)}`,
  );
  const pairs = times((speed(file, 'fast 4M pairs') ?? Number.NaN) / ours);
  return {
    name: file.file,
    value: `${ours.toFixed(0)} MB/s`,
    ratio: `${ratios.join(', ')}; two at once ${pairs}; spans of ${spans.join(', ')}; ${resume(file).toFixed(0)} µs per span`,
  };
}

function speed(file: EngineRow, engine: string): number | undefined {
  const found = file[engine];
  return typeof found === 'number' ? found : undefined;
}

/** What each further span costs: the same bytes in many spans and in few. */
function resume(file: EngineRow): number {
  const microseconds = (engine: string) => file.out / (speed(file, engine) ?? Number.NaN);
  return (microseconds('fast 256K') - microseconds('fast 4M')) / (file.spans['256K'] - file.spans['4M']);
}
