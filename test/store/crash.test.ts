/**
 * The process is killed, or the power fails, at every operation that changes the disk. Whatever is left: the next
 * process reads every byte right and without an error, and with `sync` nothing that counts was lost.
 */
import t from 'tap';
import { BLOCK_BYTES } from '../../lib/store/block-journal.js';
import { Store } from '../../lib/store/store.js';
import fc from '../property.js';
import { MemoryDisk } from './memory-disk.js';
import { Origin, sample, watchStores } from './sample-blob.js';

const BLOB = sample(40 * BLOCK_BYTES + 9, 5);
const LATER = sample(10 * BLOCK_BYTES, 6);
const SMALL = sample(3000, 7);
const QUESTION = ['tag', 'registry.example/app', 'latest'];

/** What a process does. Whatever the disk does, it gets its bytes. */
async function live(disk: MemoryDisk, sync: boolean): Promise<boolean> {
  const store = await Store.open('/store', { disk, maxBytes: 190 * 1024, sync }).catch(() => undefined);
  if (store === undefined) return true;
  const origin = new Origin(BLOB);
  const source = await store.open(BLOB, origin);
  let right = true;
  for (const [offset, length] of [
    [5 * BLOCK_BYTES, 9000],
    [20 * BLOCK_BYTES, 40_000],
    [0, BLOB.size],
  ] as const) {
    const bytes = await source.read(offset, length);
    right &&= Buffer.compare(bytes, BLOB.bytes.subarray(offset, offset + length)) === 0;
  }
  await source.close();
  await store.put(SMALL.digest, SMALL.bytes);
  await store.remember(QUESTION, SMALL.digest);
  // More than there is room for: something is evicted.
  const later = await store.open(LATER, new Origin(LATER));
  right &&= Buffer.compare(await later.read(0, LATER.size), LATER.bytes) === 0;
  await later.close();
  await store.close();
  return right;
}

/** Whether all can be read right in what is left, as one does who checks and reads again what is wrong. */
async function survives(disk: MemoryDisk): Promise<boolean> {
  const store = await Store.open('/store', { disk, maxBytes: 2 ** 30 });
  let right = true;
  for (const blob of [BLOB, LATER]) {
    const source = await store.open(blob, new Origin(blob));
    const isRight = (bytes: Uint8Array) => Buffer.compare(bytes, blob.bytes) === 0;
    const first = await source.read(0, blob.size);
    right &&= isRight(first) || isRight(await source.read(0, blob.size, { fresh: true }));
    const chunks: Uint8Array[] = [];
    for await (const chunk of source.stream()) chunks.push(new Uint8Array(chunk));
    right &&= isRight(Buffer.concat(chunks));
    await source.close();
    right &&= (await store.completion(blob)).proved;
  }
  const small = await store.get(SMALL.digest, 10_000);
  right &&= small === undefined || Buffer.compare(small, SMALL.bytes) === 0;
  const answer = await store.recall(QUESTION);
  right &&= answer === undefined || answer.value === SMALL.digest;
  await store.close();
  return right;
}

/** Numbers from 0 to 1, the same for the same seed. */
function randomOf(seed: number): () => number {
  const { bytes } = sample(2 ** 16, seed + 1);
  let at = 0;
  return () => bytes[at++ % bytes.length]! / 256;
}

async function operationsOf(sync: boolean): Promise<number> {
  const disk = new MemoryDisk();
  t.ok(await live(disk, sync));
  return disk.operations;
}

t.test('killed at every operation', async t => {
  const heard = watchStores(t);
  const count = await operationsOf(false);
  t.ok(count > 20, `${count} operations`);
  for (let at = 0; at <= count; at++) {
    const disk = new MemoryDisk();
    disk.operationsLeft = at;
    if (!(await live(disk, false))) t.fail(`wrong while ${at} operations were left`);
    heard.length = 0;
    const left = disk.restarted();
    if (!(await survives(left))) t.fail(`wrong after ${at} operations`);
    const damage = heard.filter(event => event.startsWith('damage'));
    // The write that was done by halves is not recorded.
    if (damage.length > 0 || heard.includes('refused')) t.fail(`${at}: ${heard.join()}`);
  }
});

t.test('the power fails after every operation', async t => {
  const heard = watchStores(t);
  for (const sync of [false, true]) {
    const count = await operationsOf(sync);
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: count }), fc.nat(), async (at, seed) => {
        const disk = new MemoryDisk();
        disk.operationsLeft = at;
        await live(disk, sync);
        heard.length = 0;
        const left = disk.afterPowerCut(randomOf(seed));
        const right = await survives(left);
        const lost = sync && heard.some(event => event.startsWith('damage'));
        return right && !lost && !heard.includes('refused');
      }),
      { numRuns: 80 },
    );
  }
  t.pass();
});
