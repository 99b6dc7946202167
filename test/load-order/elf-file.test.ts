/** What is taken from ELF files of every class and byte order, and that hostile ones cost nothing. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { type ElfFile, elfKind, readElf } from '../../lib/load-order/elf-file.js';
import fc from '../property.js';
import { type SampleElf, sampleElf } from './sample-elf.js';

/** Reads from memory, and says how much was asked for. */
async function read(bytes: Buffer): Promise<{ elf: ElfFile | undefined; asked: number }> {
  let asked = 0;
  const elf = await readElf(async (start, length) => {
    if (!Number.isSafeInteger(start) || start < 0 || length < 0)
      throw new Error(`read of ${start}+${length}`);
    asked += length;
    return bytes.subarray(start, start + length);
  }, bytes.length);
  return { elf, asked };
}

const FULL: SampleElf = {
  interpreter: '/lib64/ld-linux-x86-64.so.2',
  needed: ['libm.so.6', 'libc.so.6'],
  soname: 'libself.so.1',
  rpath: '/opt/a:$ORIGIN',
  runpath: '/opt/b',
  unmapped: 5000,
};

t.test('programs and libraries of both classes and byte orders', async t => {
  for (const bits of [32, 64] as const) {
    for (const littleEndian of [true, false]) {
      const bytes = sampleElf({ ...FULL, bits, littleEndian, machine: 40 });
      const { elf } = await read(bytes);
      t.strictSame(elf, {
        bits,
        littleEndian,
        machine: 40,
        segments: [{ start: 0, end: bytes.length - 5000 }],
        interpreter: FULL.interpreter,
        needed: FULL.needed,
        soname: FULL.soname,
        rpath: FULL.rpath,
        runpath: FULL.runpath,
      });
    }
  }
  const { elf: alone } = await read(sampleElf());
  t.match(alone, { interpreter: undefined, needed: [], soname: undefined, rpath: undefined });
});

t.test('the program that runs this is one', async t => {
  const bytes = readFileSync(process.execPath);
  const { elf, asked } = await read(bytes);
  t.ok(elf?.needed.some(name => name.startsWith('libc.')) || elf?.interpreter === undefined);
  t.ok(asked < 2 ** 20, `${asked} bytes were read to know`);
  t.ok((elf?.segments.length ?? 0) >= 1);
});

t.test('what is none', async t => {
  const good = sampleElf(FULL);
  const none = [
    Buffer.alloc(0),
    Buffer.from('#!/bin/sh\n'),
    good.subarray(0, 19),
    good.subarray(0, 63),
    good.subarray(0, 100),
    changed(good, 0, 0),
    changed(good, 4, 3),
    changed(good, 5, 0),
    changed(good, 16, 1),
    changed(good, 54, 55),
    changed(good, 56, 0),
    changed(good, 57, 2),
  ];
  for (const bytes of none) t.equal((await read(bytes)).elf, undefined);
  t.equal(elfKind(good.subarray(0, 20))?.machine, 62);
});

function changed(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = value;
  return copy;
}

t.test('hostile ones: nothing is thrown, little is read, and segments lie inside of the file', async t => {
  const changes = fc.array(fc.tuple(fc.nat(900), fc.nat(255)), { minLength: 1, maxLength: 12 });
  const sample = fc.record({ bits: fc.constantFrom(32, 64), littleEndian: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(sample, changes, fc.nat(900), async (kind, mutations, cut) => {
      const bytes = sampleElf({ ...FULL, ...kind } as SampleElf);
      for (const [at, value] of mutations) bytes[at % bytes.length] = value;
      const { elf, asked } = await read(bytes.subarray(0, cut > 800 ? bytes.length : cut));
      t.ok(asked < 4 * 2 ** 20);
      let end = -1;
      for (const segment of elf?.segments ?? []) {
        t.ok(segment.start > end && segment.start < segment.end && segment.end <= bytes.length);
        end = segment.end;
      }
    }),
    { numRuns: 2000 },
  );
});
