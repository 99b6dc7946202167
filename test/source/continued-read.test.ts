/** A read that goes on at another place: what was said to be there is not asked for again, nor written again. */
import t from 'tap';
import { ContinuedRead } from '../../lib/source/continued-read.js';
import { FilledSource, type ReadOptions } from '../../lib/source/range-source.js';

/** Gives `good` bytes of `value`, tells of `told` of them, and then fails or ends. */
class Place extends FilledSource {
  readonly size = 10;
  readonly name = 'place';
  readonly asked: [number, number][] = [];

  constructor(
    readonly value: number,
    readonly good: number,
    readonly told: number,
  ) {
    super();
  }

  async readInto(target: Uint8Array, offset: number, { onBytes }: ReadOptions = {}): Promise<void> {
    this.asked.push([offset, offset + target.length]);
    target.fill(this.value, 0, this.good);
    if (this.told > 0) onBytes?.(target.subarray(0, this.told));
    if (this.good < target.length) throw new Error('broken');
  }

  async close(): Promise<void> {}
}

t.test('the next place is asked for the rest', async t => {
  const target = new Uint8Array(8);
  const told: number[] = [];
  const read = new ContinuedRead(target, 1, { onBytes: arrived => told.push(arrived.length) });
  const [first, second, third] = [new Place(1, 5, 3), new Place(2, 4, 0), new Place(3, 8, 5)];
  await t.rejects(read.from(first), { message: 'broken' });
  t.same([...target.subarray(0, 5)], [1, 1, 1, 1, 1]);
  await t.rejects(read.from(second), { message: 'broken' });
  await read.from(third);
  t.same([first.asked, second.asked, third.asked], [[[1, 9]], [[4, 9]], [[4, 9]]]);
  t.same([...target], [1, 1, 1, 3, 3, 3, 3, 3]);
  t.same(told, [3, 8]);
});

t.test('where nobody wants to be told, each place is asked for all', async t => {
  const target = new Uint8Array(8);
  const read = new ContinuedRead(target, 0, {});
  await t.rejects(read.from(new Place(1, 5, 3)), { message: 'broken' });
  await read.from(new Place(2, 8, 8));
  t.same([...target], new Array(8).fill(2));
});
