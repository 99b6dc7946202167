/** A whole layer decoded on one core and on two, by one thread and by two, as lent chunks and as a stream. */
import { availableParallelism } from 'node:os';
import { realLayer } from '../corpus.js';
import { type Launcher, type Measures, ON_ONE_CORE, trial } from '../process.js';
import { megabytesPerSecond, type Report, type Row, times } from '../report.js';
import { inRounds, value } from '../rounds.js';

const ROUNDS = 5;
const PASSES = 3;
const WAYS = ['chunks', 'stream'] as const;
const SOURCES = ['memory', 'file'] as const;

interface Variant {
  readonly name: string;
  readonly threads: number;
  readonly launcher?: Launcher;
}

const ONE_CORE: Variant = { name: 'one core', threads: 1, launcher: ON_ONE_CORE };
const ONE_THREAD: Variant = { name: 'one thread', threads: 1 };
const TWO_THREADS: Variant = { name: 'two threads', threads: 2 };

export async function scaling(): Promise<Report> {
  const layer = await realLayer();
  const cases = WAYS.flatMap(as => SOURCES.map(from => ({ as, from, title: `${as} from ${from}` })));
  const variants = cases.flatMap(({ as, from, title }) =>
    [ONE_CORE, ONE_THREAD, TWO_THREADS].map(({ name, threads, launcher }) => ({
      name: `${title}, ${name}`,
      run: (): Promise<Measures> => {
        const parameters = { from, as, concurrency: threads, passes: PASSES };
        return trial('streamTar', { layer: layer.path, ztoc: layer.ztocPath, ...parameters }, launcher);
      },
    })),
  );
  const results = await inRounds(ROUNDS, variants);
  const rows = cases.flatMap(({ title }) => {
    const of = (variant: Variant, key: string) => value(results.of(`${title}, ${variant.name}`), key);
    const row = (variant: Variant, ratio: string): Row => {
      const busy = of(variant, 'cpu') / of(variant, 'milliseconds');
      const peak = of(variant, 'peak') / 1e6;
      return {
        name: `${title}, ${variant.name}`,
        value: megabytesPerSecond(of(variant, 'bytes'), of(variant, 'milliseconds')),
        ratio: `${ratio}${busy.toFixed(2)} cores busy, ${peak.toFixed(0)} MB peak`,
      };
    };
    const faster = (than: Variant) => times(of(than, 'milliseconds') / of(TWO_THREADS, 'milliseconds'));
    return [
      row(ONE_CORE, ''),
      row(ONE_THREAD, ''),
      row(
        TWO_THREADS,
        `${faster(ONE_CORE)} of one core (aim ≥ 1.85×), ${faster(ONE_THREAD)} of one thread; `,
      ),
    ];
  });
  return {
    title: 'whole layer, one core and two',
    conditions:
      `${layer.description}; spans of 4 MiB; digests and windows checked; warm; chunks: tarChunks(), stream: ` +
      `createTarStream(); medians of ${ROUNDS} processes, fastest of ${PASSES} passes each; ` +
      `${availableParallelism()} cores; one core: the whole process is confined to it`,
    rows,
    raw: results.raw,
  };
}
