/** Memory of a pass: what is given back is taken again, where it fits and is still there. */
import t from 'tap';
import { ReusedMemory } from '../../lib/span/reused-memory.js';

const MIB = 1024 * 1024;

t.test('what was given back is taken again', async t => {
  for (const memory of [ReusedMemory.ordinary(), ReusedMemory.pinned()]) {
    const first = memory.take(4 * MIB + 100) as Uint8Array;
    t.equal(first.length, 4 * MIB + 100);
    const second = memory.take(4 * MIB) as Uint8Array;
    t.not(second.buffer, first.buffer, 'not what is in use');
    memory.giveBack(first);
    const again = memory.take(4 * MIB + 70_000) as Uint8Array;
    t.equal(again.buffer, first.buffer, 'also for a little more');
    t.equal(again.length, 4 * MIB + 70_000);
    t.equal(again.byteOffset, 0);
  }
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
