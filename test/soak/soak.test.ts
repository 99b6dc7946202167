/**
 * Four processes read an image at random through one store that is too small for it, and prefetch it, while its registry
 * fails at random and one of them is killed now and then. SOAK_SECONDS says for how long (default 300), SOAK_SEED what
 * is drawn: it is printed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openImage } from '../../lib/image/open-image.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { Store } from '../../lib/store/store.js';
import { layerOf, pushImage, pushIndex, ztocOf } from '../image/sample-image.js';
import { linuxOnly } from '../posix/linux-only.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { misbehave } from './faults.js';
import { random, SOAK_LAYERS, type SoakReport, type SoakTask, soakFiles } from './task.js';

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 300);
const SEED = Number(process.env['SOAK_SEED'] ?? Date.now() % 2 ** 31);
const PROGRAM = fileURLToPath(new URL('./reader.js', import.meta.url));
const PROCESSES = 4;
const KILL_EVERY_MS = 15_000;
/** A third of the image, and each of its blobs. */
const MAX_BYTES = 10_000_000;
const SPAN_BYTES = 256 * 1024;
/** Less than the image: before each process waits for room, it may have written a MiB and a 32nd of the bound. */
const MAX_ON_DISK = 2 * MAX_BYTES;
const MAX_RSS = 400 * 2 ** 20;
/** Between the first third of the time and the last. */
const MAX_GROWTH = 64 * 2 ** 20;
const MAX_DESCRIPTORS = 150;

function onDisk(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    bytes += (statSync(join(folder, name), { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }
  return bytes;
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;

t.test(
  `soak of ${SECONDS} s, SOAK_SEED=${SEED}`,
  { ...linuxOnly, timeout: SECONDS * 2000 + 300_000 },
  async t => {
    const draw = random(SEED);
    process.stderr.write(`SOAK_SEED=${SEED} SOAK_SECONDS=${SECONDS}\n`);
    const registry = await startRegistry(t);
    const layers = await Promise.all(
      Array.from({ length: SOAK_LAYERS }, (_, layer) =>
        layerOf(soakFiles(layer).map(({ path, body }) => ({ name: path, body }))),
      ),
    );
    const transport = startTransport(t);
    const repository = openRepository(transport, registry);
    const pushed = await pushImage(repository, layers, { tag: 'latest' });
    await pushIndex(repository, pushed, await Promise.all(layers.map(layer => ztocOf(layer, SPAN_BYTES))));
    const counts = misbehave(
      registry,
      new Map(layers.map(({ descriptor, bytes }) => [descriptor.digest, bytes])),
      draw,
    );
    const folder = join(t.testdir({}), 'store');
    await (await Store.open(folder, { maxBytes: MAX_BYTES })).close();
    const reference = `${registry.host}/demo/app`;
    const reports: SoakReport[] = [];
    const rss: number[][] = [];
    const until = performance.now() + SECONDS * 1000;
    const children = new Set<ChildProcess>();

    /** One process after the other, as long as there is time. */
    const place = async (number: number): Promise<void> => {
      for (let turn = 0; performance.now() < until; turn++) {
        const seconds = Math.max(1, Math.round((until - performance.now()) / 1000));
        const seed = SEED + 100 * turn + number;
        const task: SoakTask = { reference, folder, maxBytes: MAX_BYTES, seconds, seed };
        const child = spawn(process.execPath, [PROGRAM, JSON.stringify(task)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        children.add(child);
        let last: SoakReport | undefined;
        const sizes: number[] = [];
        createInterface({ input: child.stdout }).on('line', line => {
          last = JSON.parse(line) as SoakReport;
          sizes.push(last.rss);
        });
        const [status, signal] = await once(child, 'close');
        children.delete(child);
        rss.push(sizes);
        if (last !== undefined) reports.push(last);
        t.ok(status === 0 || signal === 'SIGKILL', `a reader ended with ${status ?? signal}`);
        if (last !== undefined && last.faults.length > 0) return;
      }
    };

    let most = 0;
    const watching = setInterval(() => {
      most = Math.max(most, onDisk(folder));
      // What was asked is of no interest, and would be the growth of this process.
      registry.requests.length = 0;
    }, 500);
    const killing = setInterval(() => {
      const victims = [...children];
      victims[Math.floor(draw() * victims.length)]?.kill('SIGKILL');
    }, KILL_EVERY_MS);
    await Promise.all(Array.from({ length: PROCESSES }, (_, number) => place(number)));
    clearInterval(watching);
    clearInterval(killing);

    const sum = (of: (report: SoakReport) => number): number =>
      reports.reduce((total, report) => total + of(report), 0);
    t.same(
      reports.flatMap(({ faults }) => faults),
      [],
      'every byte was right, and every call ended',
    );
    t.ok(sum(({ reads }) => reads) > 10 * SECONDS, `${sum(({ reads }) => reads)} reads`);
    t.ok(sum(({ prefetches }) => prefetches) > SECONDS / 10);
    t.ok(sum(({ evictions }) => evictions) > 0);
    t.equal(counts.size, 10, `all faults happened: ${JSON.stringify([...counts])}`);
    for (const { rss: bytes, descriptors } of reports) {
      t.ok(bytes < MAX_RSS, `${bytes} bytes of memory`);
      t.ok(descriptors < MAX_DESCRIPTORS, `${descriptors} descriptors`);
    }
    for (const sizes of rss.filter(({ length }) => length >= 12)) {
      const third = Math.floor(sizes.length / 3);
      const growth = median(sizes.slice(-third)) - median(sizes.slice(third, 2 * third));
      t.ok(growth < MAX_GROWTH, `${growth} bytes more in the last third`);
    }
    t.ok(most <= MAX_ON_DISK, `${most} bytes on the disk at most`);

    registry.clearFaults();
    await using store = await Store.open(folder, { maxBytes: MAX_BYTES });
    for (const blob of await store.list()) {
      const { digest, size } = blob;
      if (size !== undefined)
        t.equal(await store.verify({ digest, size }), 0, `${digest} is as it was written`);
    }
    await using image = await openImage(reference, { transport, context: new ReadContext(), store });
    for (let layer = 0; layer < SOAK_LAYERS; layer++) {
      for (const { path, body } of soakFiles(layer)) t.ok((await image.readFile(path)).equals(body), path);
    }
    t.ok((await store.collect()).left <= MAX_BYTES, 'and it comes back to its bound');
    const errors = new Map<string, number>();
    for (const [code, count] of reports.flatMap(report => Object.entries(report.errors))) {
      errors.set(code, (errors.get(code) ?? 0) + count);
    }
    const told = { reads: sum(({ reads }) => reads), bytes: sum(({ bytes }) => bytes), disk: most };
    process.stderr.write(`${JSON.stringify({ ...told, faults: [...counts], errors: [...errors] })}\n`);
  },
);
