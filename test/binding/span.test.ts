/**
 * Decoding of single spans behind lib/binding.ts: whole in one job and piece by
 * piece, from a checkpoint and from a member's header.
 */
import { closeSync, fstatSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import {
  allocatePinned,
  createIndexer,
  createSpanDecoder,
  decodeSpan,
  type EngineName,
  type FileBytes,
  type GzipSpanJob,
  type NativeSpanDecoder,
  type SpanDecoderOptions,
  type SpanJob,
  setDecodeConcurrency,
} from '../../lib/binding.js';
import type { SociError } from '../../lib/errors.js';
import {
  GZIP_OPTIONS,
  indexAll,
  LAYER,
  patterned,
  type SmallSpan,
  sha256,
  spansOf,
  TAR,
} from './small-layer.js';

const MIB = 1024 * 1024;
const SPANS = spansOf(LAYER, TAR, (await indexAll(createIndexer(GZIP_OPTIONS), LAYER, MIB)).result);

function startOf(span: SmallSpan): SpanDecoderOptions {
  return { engine: 'zlib', start: 'raw', bits: span.bits, window: span.window };
}

const ENGINES: readonly EngineName[] = ['zlib', 'fast'];

function jobOf(span: SmallSpan, output: Uint8Array | number = span.expected.length): GzipSpanJob {
  return { codec: 'gzip', ...startOf(span), input: span.input, digest: span.digest, digestOffset: 0, output };
}

/** The whole layer as one span that starts before its gzip header. */
const WHOLE: GzipSpanJob = {
  codec: 'gzip',
  engine: 'zlib',
  start: 'gzip',
  bits: 0,
  window: undefined,
  input: LAYER,
  digest: sha256(LAYER),
  digestOffset: 0,
  output: TAR.length,
};

function spanAt(index: number): SmallSpan {
  const span = SPANS.at(index);
  if (span === undefined) throw new Error(`no span ${index}`);
  return span;
}

t.test('every span alone gives its bytes of the tar', async t => {
  t.ok(
    SPANS.some(span => span.bits > 0),
    'some begin inside a byte',
  );
  for (const span of SPANS) {
    for (const engine of ENGINES) {
      t.ok(span.expected.equals(await decodeSpan({ ...jobOf(span), engine })), engine);
    }
    const given = new Uint8Array(span.expected.length);
    t.equal(await decodeSpan(jobOf(span, given)), given, 'resolves to the given array');
    t.ok(span.expected.equals(given));
  }
  t.ok(TAR.equals(await decodeSpan(WHOLE)));
});

t.test('fills a view and leaves the rest of its buffer alone', async t => {
  const span = spanAt(1);
  const memory = new Uint8Array(span.expected.length + 20).fill(0xee);
  await decodeSpan(jobOf(span, memory.subarray(10, -10)));
  t.ok(span.expected.equals(memory.subarray(10, -10)));
  t.ok(Buffer.alloc(10, 0xee).equals(memory.subarray(0, 10)));
  t.ok(Buffer.alloc(10, 0xee).equals(memory.subarray(-10)));
});

t.test('pinned memory is decoded into where it is, and cannot be detached meanwhile', async t => {
  const memory = allocatePinned(TAR.length + 1) as Uint8Array;
  const output = memory.subarray(1, 1 + TAR.length);
  const before = process.memoryUsage().arrayBuffers;
  const decoded = decodeSpan({ ...WHOLE, output });
  t.ok(process.memoryUsage().arrayBuffers - before < TAR.length, 'no other memory is allocated');
  for (const detach of [
    () => structuredClone(output.buffer, { transfer: [output.buffer as ArrayBuffer] }),
    () => (output.buffer as unknown as { transfer(): void }).transfer(),
  ]) {
    try {
      detach();
    } catch {
      // Some refuse it, others copy.
    }
    t.equal(output.length, TAR.length);
  }
  t.equal(await decoded, output, 'resolves to the given array');
  t.ok(TAR.equals(output));
  t.equal(memory[0], 0, 'and to nothing beside it');
});

/** So many zeros that nothing else takes as long; to be aborted. */
const ENDLESS: GzipSpanJob = {
  ...WHOLE,
  input: gzipSync(Buffer.alloc(256 * MIB), { level: 1 }),
  digest: undefined,
  output: 256 * MIB,
};

t.test('as many spans as there are threads are decoded at once, in the order of the calls', async t => {
  t.teardown(() => setDecodeConcurrency(1));
  const inOrder: number[] = [];
  const call = async (i: number) => {
    await decodeSpan(i % 2 === 0 ? WHOLE : jobOf(spanAt(1)));
    inOrder.push(i);
  };
  await Promise.all(Array.from({ length: 10 }, (_, i) => call(i)));
  t.strictSame(inOrder, [...inOrder.keys()], 'one thread');

  setDecodeConcurrency(2);
  const controller = new AbortController();
  const endless = decodeSpan(ENDLESS, { signal: controller.signal });
  let over = false;
  endless
    .catch(() => {})
    .finally(() => {
      over = true;
    });
  for (let i = 0; i < 3; i++) t.ok(TAR.equals(await decodeSpan(WHOLE)));
  t.notOk(over, 'two threads: beside one that takes long');
  controller.abort();
  await t.rejects(endless, { name: 'AbortError' });
  for (const threads of [0, -1, 0.5, Number.NaN]) {
    t.throws(() => setDecodeConcurrency(threads), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
});

t.test('a span is read from a file by the job, whatever becomes of the descriptor', async t => {
  const span = spanAt(1);
  const file = path.join(t.testdir({}), 'layer');
  writeFileSync(file, Buffer.concat([Buffer.alloc(777), span.input]));
  const length = span.input.length;
  const fd = openSync(file, 'r');
  const fromFile = (offset: number, more: Partial<GzipSpanJob> = {}) =>
    decodeSpan({ ...jobOf(span), ...more, input: { fd, offset, length } });
  t.ok(span.expected.equals(await fromFile(777)));
  await t.rejects(fromFile(776), { code: 'ERR_SOCI_SPAN_DIGEST' });
  const output = new Uint8Array(span.expected.length);
  await t.rejects(fromFile(778, { output }), {
    code: 'ERR_SOCI_SOURCE_SHORT',
    data: { offset: length - 1 },
  });
  t.ok(output.every(byte => byte === 0));
  await t.rejects(fromFile(777, { digestOffset: length + 1 }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  const { size, ino, mtimeNs } = fstatSync(fd, { bigint: true });
  for (const identity of [
    { size, ino, mtimeNs },
    { size, ino, mtimeNs: undefined },
  ]) {
    const input = { fd, offset: 777, length, identity };
    t.ok(span.expected.equals(await decodeSpan({ ...jobOf(span), input })));
    for (const changed of [{ size: size + 1n }, { ino: ino + 1n }, { mtimeNs: mtimeNs - 1n }]) {
      const other = { ...input, identity: { ...identity, ...changed } };
      await t.rejects(decodeSpan({ ...jobOf(span), output, input: other }), {
        code: 'ERR_SOCI_SOURCE_CHANGED',
        data: { offset: length },
      });
      // What is wrong with the bytes is not said of a file that is another.
      const damaged = { ...other, offset: 776 };
      await t.rejects(decodeSpan({ ...jobOf(span), output, input: damaged }), {
        code: 'ERR_SOCI_SOURCE_CHANGED',
      });
    }
    for (const wrong of [{ size: 1 }, { ino: -1n }, { mtimeNs: 2n ** 63n }, { size: 2n ** 64n }]) {
      const refused = { ...input, identity: { ...identity, ...wrong } } as FileBytes;
      await t.rejects(decodeSpan({ ...jobOf(span), input: refused }), {
        code: 'ERR_SOCI_INVALID_ARGUMENT',
        message: /bigint/,
      });
    }
  }
  t.ok(output.every(byte => byte === 0));
  const started = fromFile(777);
  closeSync(fd);
  t.ok(span.expected.equals(await started), 'closed after the call');
  await t.rejects(fromFile(777), { code: 'ERR_SOCI_SOURCE_IO', data: { reason: 'EBADF' } });
  const directory = openSync(t.testdirName, 'r');
  await t.rejects(decodeSpan({ ...jobOf(span), input: { fd: directory, offset: 0, length: 1 } }), {
    code: 'ERR_SOCI_SOURCE_IO',
    data: { reason: 'EISDIR', offset: 0 },
    stack: /span\.test/,
  });
  closeSync(directory);
  for (const input of [
    {},
    { fd: -1, offset: 0, length: 1 },
    { fd: 0, offset: -1, length: 1 },
    { fd: 0, offset: 0 },
  ]) {
    await t.rejects(decodeSpan({ ...jobOf(span), input } as GzipSpanJob), {
      code: 'ERR_SOCI_INVALID_ARGUMENT',
    });
  }
});

t.test('a raw span is its input, once its digest is right', async t => {
  const input = TAR.subarray(1000, 100_000);
  const raw: SpanJob = { codec: 'raw', input, digest: sha256(input), digestOffset: 0, output: input.length };
  t.ok(input.equals(await decodeSpan(raw)));
  t.ok(input.subarray(0, 10).equals(await decodeSpan({ ...raw, output: 10 })), 'or the beginning of it');
  t.equal((await decodeSpan({ ...raw, input: new Uint8Array(0), digest: undefined, output: 0 })).length, 0);
  await t.rejects(decodeSpan({ ...raw, output: input.length + 1 }), { code: 'ERR_SOCI_SPAN_LENGTH' });
  const output = new Uint8Array(input.length);
  await t.rejects(decodeSpan({ ...raw, digest: sha256(TAR), output }), { code: 'ERR_SOCI_SPAN_DIGEST' });
  t.ok(output.every(byte => byte === 0));
  await t.rejects(decodeSpan({ ...raw, codec: 'zstd' } as unknown as SpanJob), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
  });
});

t.test('input is copied at once, wherever it lies', async t => {
  const span = spanAt(1);
  // Such as a chunk of a tar in which there is a layer: it is taken back when the next one is asked for.
  const pinned = (allocatePinned(span.input.length) as Uint8Array).subarray(0, span.input.length);
  // While one job has the only thread, others have not begun.
  const controller = new AbortController();
  const endless = decodeSpan(ENDLESS, { signal: controller.signal });
  const decoded = [pinned, new Uint8Array(span.input.length)].map(input => {
    input.set(span.input);
    const decoding = decodeSpan({ ...jobOf(span), input });
    input.fill(0);
    return decoding;
  });
  controller.abort();
  await t.rejects(endless, { name: 'AbortError' });
  for (const output of decoded) t.ok(span.expected.equals(await output));
});

t.test('large outputs of all kinds are filled', async t => {
  const body = patterned(5 * MIB + 123);
  const input = gzipSync(body, { level: 1 });
  const job: GzipSpanJob = { ...WHOLE, engine: 'fast', input, digest: sha256(input) };
  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer;
  for (const buffer of [
    new ArrayBuffer(body.length),
    new SharedArrayBuffer(body.length),
    new Resizable(body.length, { maxByteLength: 2 * body.length }),
  ]) {
    const output = new Uint8Array(buffer);
    const several = Array.from({ length: 3 }, () => decodeSpan({ ...job, output: body.length }));
    t.equal(await decodeSpan({ ...job, output }), output);
    t.ok(body.equals(output));
    for (const other of several) t.ok(body.equals(await other));
  }
});

t.test('an output that shrinks and grows again while the job runs holds all of the span', async t => {
  const body = patterned(5 * MIB);
  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer & { resize(length: number): void };
  const buffer = new Resizable(body.length, { maxByteLength: body.length });
  const output = new Uint8Array(buffer);
  const decoded = decodeSpan({ ...WHOLE, input: gzipSync(body, { level: 1 }), digest: undefined, output });
  let over = false;
  decoded.finally(() => {
    over = true;
  });
  while (!over) {
    buffer.resize(0);
    buffer.resize(body.length);
    await new Promise(resolve => setImmediate(resolve));
    if (over) break;
  }
  t.ok(body.equals(await decoded));
});

t.test('calls that wait end at once when their signal fires, and leave the others alone', async t => {
  const [first, rest] = [new AbortController(), new AbortController()];
  const reason = new Error('enough');
  const endless = decodeSpan(ENDLESS, { signal: first.signal });
  let over = false;
  endless
    .catch(() => {})
    .finally(() => {
      over = true;
    });
  const dropped = Array.from({ length: 10 }, () => decodeSpan(WHOLE, { signal: rest.signal }));
  const kept = decodeSpan(WHOLE, { signal: new AbortController().signal });
  rest.abort(reason);
  await Promise.all(dropped.map(waiting => t.rejects(waiting, reason)));
  t.notOk(over, 'before the one in front of them has ended');
  first.abort(reason);
  await t.rejects(endless, reason);
  t.ok(TAR.equals(await kept));
});

t.test('a prefix of a span can be decoded alone, no output at all too', async t => {
  const span = spanAt(2);
  t.ok(span.expected.subarray(0, 1000).equals(await decodeSpan(jobOf(span, 1000))));
  t.equal((await decodeSpan(jobOf(span, 0))).length, 0);
});

t.test('the digest is checked before anything is decoded', async t => {
  const span = spanAt(1);
  const input = Buffer.from(span.input);
  input[100] = (input[100] ?? 0) ^ 1;
  const output = new Uint8Array(span.expected.length);
  await t.rejects(decodeSpan({ ...jobOf(span, output), input }), { code: 'ERR_SOCI_SPAN_DIGEST' });
  t.ok(output.every(byte => byte === 0));

  const shifted = { ...WHOLE, digest: sha256(LAYER.subarray(10)), digestOffset: 10 };
  t.ok(TAR.equals(await decodeSpan(shifted)), 'from digestOffset on');
  await t.rejects(decodeSpan({ ...shifted, digestOffset: 9 }), { code: 'ERR_SOCI_SPAN_DIGEST' });
  t.ok(TAR.equals(await decodeSpan({ ...WHOLE, digest: undefined })), 'unless there is none');
});

t.test('failures carry a code, the offset, and the stack of the caller', async t => {
  const span = spanAt(1);
  const reserved = Buffer.from([0b110]); // RFC 1951 §3.2.3: block type 3
  const cases: [SpanJob, string][] = [
    [jobOf(span, span.expected.length + 100_000), 'ERR_SOCI_SPAN_LENGTH'],
    [{ ...jobOf(span), input: span.input.subarray(0, 5000), digest: undefined }, 'ERR_SOCI_SPAN_LENGTH'],
    [{ ...jobOf(span), input: new Uint8Array(0), digest: undefined }, 'ERR_SOCI_SPAN_LENGTH'],
    [{ ...jobOf(span), bits: 0, input: reserved, digest: undefined }, 'ERR_SOCI_DEFLATE_DATA'],
    [{ ...WHOLE, input: TAR, digest: undefined }, 'ERR_SOCI_GZIP_HEADER'],
  ];
  for (const [job, code] of cases) {
    const error = await decodeSpan(job).catch((reason: SociError) => reason);
    t.match(error, { name: 'SociError', code, data: { offset: Number } });
    t.match((error as Error).stack, /^SociError: .*\n\s+at .*span\.test/);
  }
});

t.test('arguments are checked', async t => {
  const span = spanAt(1);
  const wrong: Record<string, unknown>[] = [
    { bits: 8 },
    { bits: -1 },
    { bits: 0.5 },
    { window: new Uint8Array(32767) },
    { window: new Uint8Array(0) },
    { window: 'x' },
    { start: 'deflate' },
    { engine: '' },
    { digest: new Uint8Array(31) },
    { digestOffset: -1 },
    { digestOffset: span.input.length + 1 },
    { input: new Uint16Array(4) },
    { output: new Uint16Array(4) },
    { output: -1 },
    { output: 1.5 },
  ];
  for (const change of wrong) {
    const job = { ...jobOf(span), ...change } as SpanJob;
    await t.rejects(decodeSpan(job), { code: 'ERR_SOCI_INVALID_ARGUMENT' }, Object.keys(change).join());
  }
  await t.rejects(decodeSpan(jobOf(span, Number.MAX_SAFE_INTEGER)), { code: 'ERR_SOCI_NO_MEMORY' });
});

t.test('an aborted decode rejects with the reason of its signal', async t => {
  const reason = new Error('not needed any more');
  await t.rejects(decodeSpan(WHOLE, { signal: AbortSignal.abort(reason) }), reason);

  const controller = new AbortController();
  const jobs = Array.from({ length: 12 }, () => decodeSpan(WHOLE, { signal: controller.signal }));
  controller.abort(reason);
  for (const outcome of await Promise.allSettled(jobs)) {
    t.match(outcome, { status: 'rejected', reason }, 'whether it was running or waiting for a thread');
  }

  const late = new AbortController();
  t.ok(TAR.equals(await decodeSpan(WHOLE, { signal: late.signal })));
  late.abort();
});

async function pieces(
  decoder: NativeSpanDecoder,
  input: Uint8Array,
  length: number,
  inputSize: number,
  outputSize: number,
): Promise<Buffer> {
  const output = Buffer.alloc(length);
  let taken = 0;
  let filled = 0;
  while (filled < length) {
    const chunk = input.subarray(taken, taken + inputSize);
    const { consumed, produced } = await decoder.run(chunk, output.subarray(filled, filled + outputSize), 0);
    if (consumed === 0 && produced === 0) throw new Error('no progress');
    taken += consumed;
    filled += produced;
  }
  return output;
}

t.test('a span can be decoded piece by piece', async t => {
  for (const span of [spanAt(0), spanAt(1), spanAt(-1)]) {
    for (const [inputSize, outputSize] of [
      [61, 5000] as const,
      [333, 40_000] as const,
      [MIB, 777] as const,
    ]) {
      const decoder = createSpanDecoder(startOf(span));
      const found = await pieces(decoder, span.input, span.expected.length, inputSize, outputSize);
      t.ok(span.expected.equals(found), `${inputSize} in, ${outputSize} out`);
    }
  }
});

t.test('output can be skipped', async t => {
  const span = spanAt(1);
  const decoder = createSpanDecoder(startOf(span));
  const output = new Uint8Array(100);
  const first = await decoder.run(span.input, output, 4321);
  t.match(first, { skipped: 4321, produced: 100, ended: false });
  t.ok(span.expected.subarray(4321, 4421).equals(output));
  await decoder.run(span.input.subarray(first.consumed), output, 10_000);
  t.ok(span.expected.subarray(14_421, 14_521).equals(output));
});

t.test('one call takes 1 MiB of input and gives 4 MiB of output at most', async t => {
  const noise = gzipSync(patterned(3 * MIB));
  const start: SpanDecoderOptions = { engine: 'zlib', start: 'gzip', bits: 0, window: undefined };
  t.ok(noise.length > MIB);
  const taken = await createSpanDecoder(start).run(noise, new Uint8Array(3 * MIB), 0);
  t.equal(taken.consumed, MIB);

  const zeros = gzipSync(Buffer.alloc(20 * MIB));
  const filled = await createSpanDecoder(start).run(zeros, new Uint8Array(20 * MIB), 0);
  t.match(filled, { produced: 4 * MIB, skipped: 0 });
  const skipping = createSpanDecoder(start);
  const skipped = await skipping.run(zeros, new Uint8Array(MIB), 5 * MIB);
  t.match(skipped, { produced: 0, skipped: 4 * MIB });
  const rest = await skipping.run(zeros.subarray(skipped.consumed), new Uint8Array(4 * MIB), MIB);
  t.match(rest, { produced: 3 * MIB, skipped: MIB });
});

t.test('says when the stream has ended', async t => {
  const decoder = createSpanDecoder({ engine: 'zlib', start: 'gzip', bits: 0, window: undefined });
  const body = patterned(1000);
  const output = new Uint8Array(2000);
  t.match(await decoder.run(gzipSync(body), output, 0), { produced: 1000, ended: true });
  t.ok(body.equals(output.subarray(0, 1000)));
});

t.test('calls on one decoder do not overlap, and end with abort()', async t => {
  const span = spanAt(1);
  const decoder = createSpanDecoder(startOf(span));
  const first = decoder.run(span.input, new Uint8Array(1000), 0);
  await t.rejects(decoder.run(span.input, new Uint8Array(1000), 0), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  t.equal((await first).produced, 1000);
  decoder.abort();
  await t.rejects(decoder.run(span.input, new Uint8Array(1000), 0), { code: 'ABORTED' });
});

t.test('what is decoded is what was given, whatever happens to the array later', async t => {
  const span = spanAt(1);
  const input = Uint8Array.from(span.input);
  const window = Uint8Array.from(span.window);
  const pending = decodeSpan({ ...jobOf(span), input, window });
  input.fill(0xff);
  window.fill(0xff);
  t.ok(span.expected.equals(await pending));

  const decoder = createSpanDecoder({ ...startOf(span), window: Uint8Array.from(span.window) });
  const piece = Uint8Array.from(span.input);
  const output = new Uint8Array(span.expected.length);
  const running = decoder.run(piece, output, 0);
  piece.fill(0xff);
  t.equal((await running).produced, span.expected.length);
  t.ok(span.expected.equals(output));
});

t.test('arrays in shared memory work like others', async t => {
  const span = spanAt(1);
  const input = new Uint8Array(new SharedArrayBuffer(span.input.length));
  input.set(span.input);
  const output = new Uint8Array(new SharedArrayBuffer(span.expected.length));
  await decodeSpan({ ...jobOf(span, output), input });
  t.ok(span.expected.equals(output));
  const piece = new Uint8Array(new SharedArrayBuffer(1000));
  await createSpanDecoder(startOf(span)).run(input, piece, 0);
  t.ok(span.expected.subarray(0, 1000).equals(piece));
});
