/** Files as memory. */
import { closeSync, openSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { MappedRegion } from '../../lib/posix.js';
import { linuxOnly } from './linux-only.js';

const BYTES = Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * 7) & 255));

/** How often the file is mapped into this process. */
function mappings(name: string): number {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter(line => line.includes(name)).length;
}

t.test('any part of a file, until it is closed', linuxOnly, async t => {
  const file = path.join(t.testdir({}), 'mapped-and-closed');
  writeFileSync(file, BYTES);
  const fd = openSync(file, 'r');
  const parts = [
    [0, BYTES.length],
    [1, 1],
    [4095, 2],
    [4096, 4096],
    [12_345, BYTES.length - 12_345],
  ] as const;
  const regions = parts.map(([offset, length]) => new MappedRegion(fd, offset, length));
  closeSync(fd);
  unlinkSync(file);
  for (const [i, [offset, length]] of parts.entries()) {
    t.ok(BYTES.subarray(offset, offset + length).equals(regions[i]?.bytes as Uint8Array), `${offset}`);
  }
  t.equal(mappings('mapped-and-closed'), parts.length);
  const arrays = regions.map(region => region.bytes.subarray(0, 1));
  for (const region of regions) {
    region.close();
    region.close();
    t.equal(region.bytes.length, 0);
  }
  t.ok(
    arrays.every(array => array.length === 0),
    'other arrays over the memory too',
  );
  for (let turn = 0; turn < 10 && mappings('mapped-and-closed') > 0; turn++) await nextTurn();
  t.equal(mappings('mapped-and-closed'), 0);
});

t.test('what is forgotten is unmapped by the collector', { ...linuxOnly }, async t => {
  const file = path.join(t.testdir({}), 'mapped-and-forgotten');
  writeFileSync(file, BYTES);
  const fd = openSync(file, 'r');
  for (let i = 0; i < 10; i++) new MappedRegion(fd, 0, BYTES.length);
  closeSync(fd);
  for (let turn = 0; turn < 20 && mappings('mapped-and-forgotten') > 0; turn++) {
    globalThis.gc?.();
    await nextTurn();
  }
  t.equal(mappings('mapped-and-forgotten'), 0);
});

t.test('what is not in the file cannot be mapped', linuxOnly, async t => {
  const file = path.join(t.testdir({ file: '' }), 'file');
  writeFileSync(file, BYTES);
  const fd = openSync(file, 'r');
  for (const [offset, length] of [
    [0, BYTES.length + 1],
    [BYTES.length, 1],
    [2 ** 52, 1],
    [1, 2 ** 52],
    [0, 0],
  ] as const) {
    t.throws(() => new MappedRegion(fd, offset, length), { code: 'EINVAL', syscall: 'mmap' });
  }
  closeSync(fd);
  t.throws(() => new MappedRegion(fd, 0, 1), { code: 'EBADF' });
});
