/** Memory of a pass: what is given back is taken again, where it fits and is still there. */
import t from 'tap';
import { isPinned } from '../../lib/pinned-memory.js';
import { ReusedMemory } from '../../lib/span/reused-memory.js';

const MIB = 1024 * 1024;

t.test('what was given back is taken again', async t => {
  for (const memory of [ReusedMemory.ordinary(), ReusedMemory.pinned()]) {
    const first = memory.take(4 * MIB + 100) as Uint8Array;
    t.equal(first.length, 4 * MIB + 100);
    first.fill(1);
    const second = memory.take(4 * MIB) as Uint8Array;
    t.equal(second[0], 0, 'not what is in use');
    memory.giveBack(first);
    const again = memory.take(4 * MIB + 70_000) as Uint8Array;
    t.equal(again[0], 1, 'also for a little more');
    t.equal(again.length, 4 * MIB + 70_000);
    t.equal(again.byteOffset, 0);
  }
});

t.test('of pinned memory that was given back, nothing is left to who kept it', async t => {
  const memory = ReusedMemory.pinned();
  const kept = memory.take(MIB) as Uint8Array;
  const [part, { buffer }] = [kept.subarray(10, 20), kept];
  kept[0] = 7;
  memory.giveBack(kept);
  t.same([kept.length, part.length, buffer.byteLength], [0, 0, 0]);
  kept[0] = 8;
  const again = memory.take(MIB) as Uint8Array;
  t.equal(again[0], 7);
  t.ok(isPinned(again), 'and still pinned');
  try {
    structuredClone(again.buffer, { transfer: [again.buffer as ArrayBuffer] });
  } catch {
    // Some versions of Node copy what cannot be transferred, others refuse.
  }
  t.equal(again.length, MIB);
  memory.giveBack(kept);
  t.equal(again.length, MIB, 'what was taken from somebody cannot be given back by him');
});

t.test('not more than 32 MiB, or than it is bound to, is kept', async t => {
  let bound = Number.POSITIVE_INFINITY;
  const memory = ReusedMemory.pinned(() => bound);
  const taken = Array.from({ length: 5 }, () => memory.take(10 * MIB) as Uint8Array);
  for (const [i, bytes] of taken.entries()) bytes[0] = i + 1;
  for (const bytes of taken) memory.giveBack(bytes);
  const kept = [1, 2, 3, 4].map(() => memory.take(10 * MIB) as Uint8Array);
  t.same(kept.map(([mark]) => mark).sort(), [0, 3, 4, 5], 'what was idle for longest has gone');
  bound = 25 * MIB;
  for (const bytes of kept) {
    bytes[0] = 9;
    memory.giveBack(bytes);
  }
  t.equal([1, 2, 3].filter(() => memory.take(10 * MIB)?.[0] !== 0).length, 2);
  memory.giveBack(memory.take(MIB) as Uint8Array);
  memory.clear();
  t.equal(memory.take(MIB)?.[0], 0);
});

t.test('the smallest that fits is taken, and nothing much larger', async t => {
  const memory = ReusedMemory.ordinary();
  const [large, small] = [memory.take(8 * MIB), memory.take(MIB)] as [Uint8Array, Uint8Array];
  memory.giveBack(large);
  memory.giveBack(small);
  t.equal(memory.take(MIB - 10)?.buffer, small.buffer);
  t.not(memory.take(MIB)?.buffer, large.buffer);
  t.equal(memory.take(5 * MIB)?.buffer, large.buffer);
});

t.test('memory that was detached meanwhile is forgotten', async t => {
  const memory = ReusedMemory.ordinary();
  const taken = memory.take(MIB) as Uint8Array;
  structuredClone(taken.buffer, { transfer: [taken.buffer as ArrayBuffer] });
  memory.giveBack(taken);
  t.equal(memory.take(MIB)?.length, MIB);
});

t.test('memory of somebody else, as a view of a layer in memory, is never taken', async t => {
  const memory = ReusedMemory.ordinary();
  const layer = new Uint8Array(MIB).fill(7);
  memory.giveBack(layer.subarray(10, 20));
  t.not(memory.take(MIB)?.buffer, layer.buffer);
  t.not(memory.take(10)?.buffer, layer.buffer);
});
