/**
 * A process of the soak: opens an image again and again, reads what it draws, prefetches beside that, and holds every
 * byte against the truth. It says what it did once a second.
 */
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { SociError } from '../../lib/errors.js';
import type { Image } from '../../lib/image/image.js';
import { openImage } from '../../lib/image/open-image.js';
import type { PrefetchTarget } from '../../lib/image/prefetch-target.js';
import { subscribe } from '../../lib/observe/channels.js';
import { RegistryTransport } from '../../lib/registry/transport.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { Store } from '../../lib/store/store.js';
import { random, SOAK_LAYERS, type SoakReport, type SoakTask, soakFiles } from './task.js';

/** No call may take longer, whatever the registry does: all that it waits for has a limit of a second or a few. */
const HANG_MS = 120_000;
const READS_PER_IMAGE = 40;
const AT_ONCE = 4;

const task = JSON.parse(process.argv[2] ?? '') as SoakTask;
const draw = random(task.seed);
const pick = <T>(of: readonly T[]): T => of[Math.floor(draw() * of.length)]!;
const files = Array.from({ length: SOAK_LAYERS }, (_, layer) => soakFiles(layer)).flat();
const until = performance.now() + task.seconds * 1000;
const counts = { reads: 0, bytes: 0, prefetches: 0, evictions: 0 };
const errors: Record<string, number> = {};
const faults: string[] = [];
subscribe('seekable-oci:store:blob', ({ outcome }) => {
  if (outcome === 'evicted') counts.evictions++;
});

function report(): void {
  const { rss } = process.memoryUsage();
  const descriptors = readdirSync('/proc/self/fd').length;
  const said: SoakReport = { ...counts, errors, faults, rss, descriptors };
  console.log(JSON.stringify(said));
}

/** Counts how a call fails, which it may; it may not hang, and not fail without a code. */
async function call<T>(what: string, work: Promise<T>): Promise<T | undefined> {
  const timer = setTimeout(() => faults.push(`${what}: not over after ${HANG_MS} ms`), HANG_MS);
  try {
    return await work;
  } catch (error) {
    if (error instanceof SociError) errors[error.code] = (errors[error.code] ?? 0) + 1;
    else if ((error as Error).name !== 'AbortError') faults.push(`${what}: ${(error as Error).stack}`);
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

async function readSome(image: Image): Promise<void> {
  const { path, body } = pick(files);
  const start = Math.floor(draw() * body.length);
  const endExclusive =
    draw() < 0.2 ? body.length : Math.min(body.length, start + Math.floor(draw() * 400_000));
  const bytes = await call('readFile', image.readFile(path, { start, endExclusive }));
  if (bytes === undefined) return;
  counts.reads++;
  counts.bytes += bytes.length;
  if (!bytes.equals(body.subarray(start, endExclusive))) faults.push(`${path} from ${start}: wrong bytes`);
}

async function prefetchSome(image: Image): Promise<void> {
  const target: PrefetchTarget =
    draw() < 0.5 ? 'all' : draw() < 0.5 ? [pick(files).path] : ['/layer*/small/*'];
  const controller = new AbortController();
  const ends = setTimeout(() => controller.abort(), 5000 * draw());
  const maxBytesPerSecond = draw() < 0.5 ? 4_000_000 : undefined;
  await call('prefetch', image.prefetch(target, { signal: controller.signal, maxBytesPerSecond }));
  clearTimeout(ends);
  counts.prefetches++;
}

async function session(store: Store): Promise<void> {
  const transport = new RegistryTransport({
    credentials: null,
    env: {},
    retry: { retries: 3, minDelay: 20, maxDelay: 200 },
    timeouts: { connect: 2000, headers: 2000, bodyIdle: 1000 },
  });
  const context = new ReadContext({ cacheBytes: 4_000_000, memoryBytes: 16_000_000 });
  const image = await call('openImage', openImage(task.reference, { transport, context, store }));
  if (image !== undefined) {
    const prefetching = Array.from({ length: Math.floor(draw() * 3) }, () => prefetchSome(image));
    for (let done = 0; done < READS_PER_IMAGE && performance.now() < until; done += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => readSome(image)));
    }
    if (draw() < 0.5) await Promise.all(prefetching);
    await call('close', image.close());
    await Promise.all(prefetching);
  }
  await context.close();
  await transport.close();
}

const reporting = setInterval(report, 1000);
while (performance.now() < until && faults.length === 0) {
  const store = await Store.open(task.folder, { maxBytes: task.maxBytes });
  await session(store);
  await call('close', store.close());
  await delay(10);
}
clearInterval(reporting);
report();
