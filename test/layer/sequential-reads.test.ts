/** How much is fetched ahead of one who reads a file from front to back, and of others. */
import t from 'tap';
import { SequentialReads } from '../../lib/layer/sequential-reads.js';
import fc from '../property.js';

const MIB = 1024 * 1024;
const SIZE = 100 * MIB;
const MOST = 32 * MIB;

t.test('twice as much each time, up to the bound and the end of the file', async t => {
  const reads = new SequentialReads();
  const ahead: string[] = [];
  for (let start = 0; start < SIZE; start += 512 * 1024) {
    const found = reads.note({ start, end: start + 512 * 1024 }, SIZE, MOST);
    if (found !== undefined) ahead.push(`${found.start / MIB} to ${found.end / MIB}`);
  }
  t.same(ahead, [
    '1 to 2',
    '2 to 3.5',
    '3.5 to 6.5',
    '6.5 to 12.5',
    '12.5 to 24.5',
    '24.5 to 48.5',
    '48.5 to 64.5',
    '64.5 to 80.5',
    '80.5 to 96.5',
    '96.5 to 100',
  ]);
});

t.test('a read elsewhere begins anew', async t => {
  const reads = new SequentialReads();
  const note = (start: number, end: number) => reads.note({ start, end }, SIZE, MOST);
  t.equal(note(5, 10), undefined, 'nobody knows yet');
  t.same(note(10, 20), { start: 20, end: 20 + MIB });
  t.equal(note(20, 30), undefined, 'there is enough ahead');
  t.equal(note(5000, 6000), undefined);
  t.same(note(6000, 7000), { start: 7000, end: 7000 + MIB });
  t.equal(note(7000, 7000), undefined, 'nothing at all goes on nowhere');
  t.equal(note(7000, 8000), undefined, 'and makes nobody forget what is ahead');
});

t.test('nothing is asked for twice, nor outside of the file, nor more than the bound', async () => {
  const step = fc.record({ skip: fc.constantFrom(0, 0, 0, 0, 1, -3000), length: fc.nat(3000) });
  fc.assert(
    fc.property(fc.array(step), fc.nat(50_000), fc.integer({ min: 1, max: 40_000 }), (steps, size, most) => {
      const reads = new SequentialReads();
      let at = 0;
      let last = 0;
      for (const { skip, length } of steps) {
        const start = Math.min(size, Math.max(0, at + skip));
        const end = Math.min(size, start + length);
        if (start !== at) last = 0;
        at = end;
        const ahead = reads.note({ start, end }, size, most);
        if (ahead === undefined) continue;
        if (ahead.start < Math.max(end, last) || ahead.end > Math.min(size, end + most)) return false;
        last = ahead.end;
      }
      return true;
    }),
  );
});
