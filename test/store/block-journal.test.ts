/** The journal's format, byte by byte, and what is made of one that is torn, truncated or written by many. */
import t from 'tap';
import {
  BLOCK_BYTES,
  BlockRecords,
  blockCount,
  blockOf,
  encodeHeader,
  encodeRecords,
  HEADER_BYTES,
  isHeader,
  joinRuns,
  RECORD_BYTES,
  recordOffset,
  runBytes,
  runsWhere,
} from '../../lib/store/block-journal.js';
import fc from '../property.js';
import { sample } from './sample-blob.js';

t.test('golden bytes', async t => {
  const header = Buffer.from(encodeHeader(0x1_0000_1001)).toString('hex');
  // Magic, block size 4096, CRC-32 of all with itself as 0, blob size, zeros; computed with Python's zlib and struct.
  t.equal(
    header,
    `${Buffer.from('SOCIBLK1').toString('hex')}00100000a4ac0c3e01100000010000000000000000000000`,
  );
  const bytes = new Uint8Array(BLOCK_BYTES + 1).fill(0x61);
  const records = Buffer.from(encodeRecords(7, bytes)).toString('hex');
  t.equal(records, '73dc999cfa026eab43beb7e86dc6ed3e');
  t.equal(recordOffset(7), HEADER_BYTES + 7 * RECORD_BYTES);
});

t.test('a header is of one size of blob, and damage to it is seen', async t => {
  const header = encodeHeader(12345);
  t.ok(isHeader(header, 12345));
  t.notOk(isHeader(header, 12346));
  t.notOk(isHeader(header.subarray(0, 31), 12345));
  for (let at = 0; at < header.length; at++) {
    const damaged = new Uint8Array(header);
    damaged[at]! ^= 1;
    t.notOk(isHeader(damaged, 12345), `byte ${at}`);
  }
});

/** Of block `at` of all that was read of a blob from block `first` on. */
function blockState(first: number, at: number, records: Uint8Array, read: Uint8Array) {
  return new BlockRecords(first, records).state(first + at, blockOf(read, at));
}

const { bytes } = sample(10 * BLOCK_BYTES + 100);
const COUNT = blockCount(bytes.length);

t.test(
  'no prefix of a journal, and no bit of it changed, says that something is there which is not',
  async t => {
    const records = encodeRecords(0, bytes);
    t.equal(records.length, COUNT * RECORD_BYTES);
    for (let length = 0; length <= records.length; length++) {
      const torn = records.subarray(0, length);
      for (let at = 0; at < COUNT; at++) {
        const expected = (at + 1) * RECORD_BYTES <= length ? 'present' : 'absent';
        if (blockState(0, at, torn, bytes) !== expected) t.fail(`block ${at} of ${length} bytes`);
      }
    }
    for (let bit = 0; bit < records.length * 8; bit++) {
      const damaged = new Uint8Array(records);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const at = Math.floor(bit / 8 / RECORD_BYTES);
      if (blockState(0, at, damaged, bytes) !== 'absent') t.fail(`bit ${bit}`);
    }
    t.equal(blockState(1, 0, records, bytes), 'absent', 'a record says whose it is');
    t.equal(blockState(0, 0, new Uint8Array(8), new Uint8Array(0)), 'absent', 'zeros are none');
  },
);

t.test('a block that is not what was written is damaged', async () => {
  await fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const damaged = new Uint8Array(bytes);
      damaged[at]! ^= change;
      const block = Math.floor(at / BLOCK_BYTES);
      const records = encodeRecords(0, bytes);
      for (let each = 0; each < COUNT; each++) {
        const expected = each === block ? 'damaged' : 'present';
        if (blockState(0, each, records, damaged) !== expected) return false;
      }
      return true;
    }),
  );
});

t.test('writers in any order, torn anywhere: what is said to be there is there', async () => {
  const lie = sample(bytes.length, 2).bytes;
  const step = fc.record({
    first: fc.nat({ max: COUNT - 1 }),
    count: fc.integer({ min: 1, max: 4 }),
    what: fc.constantFrom('data', 'records'),
    whose: fc.constantFrom(bytes, lie),
    torn: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  await fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), steps => {
      const data = new Uint8Array(bytes.length);
      const journal = new Uint8Array(COUNT * RECORD_BYTES);
      for (const { first, count, what, whose, torn } of steps) {
        const end = Math.min(first + count, COUNT);
        const part = whose.subarray(first * BLOCK_BYTES, end * BLOCK_BYTES);
        const written = what === 'data' ? part : encodeRecords(first, part);
        const target = what === 'data' ? data : journal;
        const unit = what === 'data' ? BLOCK_BYTES : RECORD_BYTES;
        target.set(written.subarray(0, Math.ceil(written.length * torn)), first * unit);
      }
      for (let at = 0; at < COUNT; at++) {
        if (blockState(0, at, journal, data) !== 'present') continue;
        const is = (of: Uint8Array) =>
          Buffer.compare(
            of.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES),
            data.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES),
          ) === 0;
        if (!is(bytes) && !is(lie)) return false;
      }
      return true;
    }),
  );
});

t.test('runs of blocks', async t => {
  t.same(
    runsWhere({ first: 3, end: 9 }, block => block !== 5),
    [
      { first: 3, end: 5 },
      { first: 6, end: 9 },
    ],
  );
  t.same(
    runsWhere({ first: 3, end: 3 }, () => true),
    [],
  );
  const runs = [
    { first: 0, end: 2 },
    { first: 3, end: 4 },
    { first: 9, end: 10 },
  ];
  t.same(joinRuns(runs, 1), [
    { first: 0, end: 4 },
    { first: 9, end: 10 },
  ]);
  t.equal(runBytes({ first: 1, end: 3 }, BLOCK_BYTES * 2 + 5), BLOCK_BYTES + 5);
});
