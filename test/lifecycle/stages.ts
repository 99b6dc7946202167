/**
 * What teardown.test.ts runs in processes of their own, one stage each: the
 * process is left, or a worker is stopped, at a chosen moment of the addon's
 * work. A stage passes if the process ends with code 0; what it waits for, it
 * asserts itself.
 */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { copyFileSync, fstatSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import {
  allocatePinned,
  createIndexer,
  createSpanDecoder,
  decodeSpan,
  type GzipSpanJob,
  type IndexerOptions,
  type NativeIndexer,
  type ScanResult,
  type SpanDecoderOptions,
} from '../../lib/binding.js';
import type { SociError } from '../../lib/errors.js';
import { AbortedError } from '../../lib/native-failure.js';
import type { TreeWriter } from '../../lib/native-tree.js';
import { batchOf, type Operation, openTree } from '../binding/tree-batch.js';

const MIB = 1024 * 1024;
const gc = globalThis.gc ?? (() => {});

/** Some 10 ms of work: zeros expand a thousandfold, so that a job ends at its 4 MiB of output. */
const BODY = Buffer.alloc(8 * MIB);
const LAYER = gzipSync(BODY, { level: 1 });

/** The same in a file without a name. */
const LAYER_FD = (() => {
  const directory = mkdtempSync(path.join(tmpdir(), 'seekable-oci-'));
  const fd = openSync(path.join(directory, 'layer'), 'w+');
  rmSync(directory, { recursive: true });
  writeSync(fd, LAYER);
  return fd;
})();

const RAW = { codec: 'raw', digest: undefined, digestOffset: 0 } as const;

const GZIP: IndexerOptions = {
  compression: 'gzip',
  spanSize: MIB,
  diffId: true,
  engine: 'zlib',
  threads: 1,
  maxCheckpoints: 1000,
};
const START: SpanDecoderOptions = { engine: 'zlib', start: 'gzip', bits: 0, window: undefined };

function spanJob(input: Uint8Array = LAYER, output: Uint8Array | number = BODY.length): GzipSpanJob {
  return { ...START, codec: 'gzip', input, digest: undefined, digestOffset: 0, output };
}

/** Read from the file that LAYER_FD is, and held against it. */
function fileJob(): GzipSpanJob {
  const identity = fstatSync(LAYER_FD, { bigint: true });
  return { ...spanJob(), input: { fd: LAYER_FD, offset: 0, length: LAYER.length, identity } };
}

function openDescriptors(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}

async function scan(indexer: NativeIndexer, chunk: Uint8Array = LAYER): Promise<ScanResult> {
  indexer.push(chunk);
  return await indexer.run();
}

/** Scans that wait for scans, with more to hash behind each. */
function scanAhead(): Promise<unknown>[] {
  const indexer = createIndexer({ ...GZIP, compression: 'uncompressed' });
  const runs: Promise<unknown>[] = [];
  for (let i = 0; i < 2; i++) runs.push(scan(indexer, Buffer.alloc(MIB)));
  return runs;
}

/** Chunks of half noise, of which others than the scan decode some. */
const AHEAD = (() => {
  const noise = Buffer.alloc(6 * MIB);
  for (let i = 0; i < noise.length; i++) noise[i] = 32 + ((Math.imul(i, 2654435761) >>> (i & 15)) & 31);
  return gzipSync(Buffer.concat([noise, noise]), { level: 1 });
})();

/** Scans while other threads decode ahead. */
function scanWithGuesses(): Promise<unknown>[] {
  const indexer = createIndexer({ ...GZIP, engine: 'fast', threads: 4 });
  for (let at = 0; at < AHEAD.length; at += MIB) indexer.push(AHEAD.subarray(at, at + MIB));
  return [indexer.run(), indexer.run()];
}

/** In the folder for temporary files, which is the caller's: what is stopped leaves files there. */
function emptyTree(): TreeWriter {
  return openTree(mkdtempSync(path.join(tmpdir(), 'seekable-oci-')));
}

/** Files of a few contents each, some of which are begun and never ended. */
function writeFiles(tree: TreeWriter): Promise<unknown>[] {
  tree.add(0, BODY);
  return [0, 1].map(batch => {
    const operations: Operation[] = [{ kind: 'BEGIN_FILE', path: `begun-${batch}`, id: batch }];
    for (let i = 0; i < 20; i++) {
      operations.push({ kind: 'FILE', path: `${batch}/${i}`, tarOffset: i, length: 10_000 });
    }
    operations.push({ kind: 'FILE', path: `${batch}/large`, length: MIB });
    operations.push({ kind: 'REMOVE', path: `${batch}` });
    return tree.run(batchOf(...operations));
  });
}

/** A scan whose output nobody writes or releases. */
function scanIntoTree(): Promise<unknown>[] {
  const tree = emptyTree();
  return [scan(createIndexer({ ...GZIP, output: tree })), tree.run(batchOf())];
}

/** One call of every kind, all under way. */
function startEverything(): Promise<unknown>[] {
  const finishing = createIndexer({ ...GZIP, compression: 'uncompressed' });
  return [
    scan(createIndexer(GZIP)),
    createSpanDecoder(START).run(LAYER, new Uint8Array(4 * MIB), 0),
    decodeSpan(spanJob()),
    decodeSpan(spanJob(), { signal: new AbortController().signal }),
    decodeSpan(spanJob(LAYER, new Uint8Array(BODY.length))),
    decodeSpan(spanJob(LAYER, allocatePinned(BODY.length)?.subarray(0, BODY.length))),
    decodeSpan(fileJob()),
    decodeSpan({ ...RAW, input: Buffer.alloc(4 * MIB), output: new Uint8Array(4 * MIB) }),
    ...[0, 1, 2, 3].map(() => decodeSpan({ ...spanJob(), engine: 'fast', bulk: true })),
    finishing.finish(),
    scan(createIndexer(GZIP)),
    ...scanAhead(),
    ...scanWithGuesses(),
    ...writeFiles(emptyTree()),
    ...scanIntoTree(),
  ];
}

/** Detaches `array` and has its memory freed at once: what a worker's exit does to a transferred buffer. */
function freeMemoryOf(array: Uint8Array): void {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  assert.equal(array.byteLength, 0);
  gc();
  gc();
}

async function assertAllRefused(pending: Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(pending)) {
    assert.ok(outcome.status === 'rejected');
    assert.equal((outcome.reason as SociError).code, 'ERR_SOCI_INVALID_ARGUMENT');
  }
}

async function inWorker(stage: string, end: (worker: Worker) => unknown): Promise<void> {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { stage } });
  const exited = new Promise<void>((resolve, reject) => {
    worker.once('error', reject).once('exit', () => resolve());
  });
  worker.once('message', () => end(worker));
  await exited;
}

/** Everything ends, however few threads there are; and chunks are pushed for others than the scan, or not. */
async function inPool(chunksAhead: number): Promise<void> {
  const indexer = createIndexer({ ...GZIP, engine: 'fast', threads: 4 });
  // Compressed to some half, as what others are of use for; it shows after a few chunks.
  const layer = gzipSync(randomBytes(4 * MIB).toString('hex'), { level: 1 });
  for (let at = 0; at < 4 * MIB; ) {
    at += indexer.push(layer.subarray(at));
    await indexer.run();
  }
  let chunks = 0;
  while (indexer.push(LAYER) > 0) chunks++;
  assert.equal(chunks, chunksAhead);
  for (let round = 0; round < 3; round++) await Promise.all(startEverything());
}

const stages: Record<string, () => unknown> = {
  async 'pool-of-1'() {
    await inPool(2);
  },

  async 'pool-of-2'() {
    await inPool(8);
  },

  async created() {
    createIndexer(GZIP);
    createSpanDecoder(START);
  },

  async 'created-collected'() {
    for (let i = 0; i < 50; i++) {
      createIndexer(GZIP);
      createSpanDecoder(START);
      emptyTree();
      gc();
      await nextTurn();
    }
  },

  async 'never-finished'() {
    await scan(createIndexer(GZIP));
    gc();
  },

  'not-awaited'() {
    for (const pending of startEverything()) pending.then(() => {});
  },

  async 'exit-mid-work'() {
    startEverything();
    await nextTurn();
    process.exit(0);
  },

  'exit-at-once'() {
    startEverything();
    process.exit(0);
  },

  'started-while-exiting'() {
    process.on('exit', () => startEverything());
  },

  async 'uncaught-mid-work'() {
    process.on('uncaughtException', () => process.exit(0));
    startEverything();
    await nextTurn();
    throw new Error('on purpose');
  },

  async 'worker-terminated-mid-work'() {
    for (let i = 0; i < 3; i++) await inWorker('worker: start everything', worker => worker.terminate());
  },

  async 'worker-terminated-with-async-hooks'() {
    for (let i = 0; i < 3; i++) {
      await inWorker('worker: start everything in an AsyncLocalStorage', worker => worker.terminate());
    }
  },

  async 'worker-terminated-in-a-loop-of-work'() {
    for (let delay = 0; delay < 60; delay += 15) {
      await inWorker('worker: work for ever', worker => setTimeout(() => worker.terminate(), delay));
    }
  },

  async 'worker-terminated-while-it-reads-a-file'() {
    const open = openDescriptors();
    for (let delay = 0; delay < 40; delay += 8) {
      await inWorker('worker: read a file for ever', worker => setTimeout(() => worker.terminate(), delay));
    }
    // Of the thread itself a few are closed a little later.
    for (let turns = 0; openDescriptors() > open && turns < 1000; turns++) await nextTurn();
    assert.equal(openDescriptors(), open);
  },

  async 'worker-terminated-while-it-writes-a-tree'() {
    const open = openDescriptors();
    for (let delay = 0; delay < 40; delay += 8) {
      await inWorker('worker: write trees for ever', worker => setTimeout(() => worker.terminate(), delay));
    }
    for (let turns = 0; openDescriptors() > open && turns < 1000; turns++) await nextTurn();
    assert.equal(openDescriptors(), open);
  },

  async 'worker-exits-mid-work'() {
    await inWorker('worker: start everything and exit', () => {});
  },

  async 'worker-throws-mid-work'() {
    await assert.rejects(
      inWorker('worker: start everything and throw', () => {}),
      /on purpose/,
    );
  },

  async 'parent-exits-while-workers-work'() {
    await Promise.all(
      Array.from({ length: 3 }, () => {
        const worker = new Worker(fileURLToPath(import.meta.url), {
          workerData: { stage: 'worker: work for ever' },
        });
        return new Promise(resolve => worker.once('message', resolve));
      }),
    );
    process.exit(0);
  },

  async 'sixteen-workers'() {
    await Promise.all(Array.from({ length: 16 }, () => inWorker('worker: finish everything', () => {})));
  },

  async 'abort-before'() {
    const indexer = createIndexer(GZIP);
    indexer.abort();
    await assert.rejects(scan(indexer), AbortedError);
    const decoder = createSpanDecoder(START);
    decoder.abort();
    await assert.rejects(decoder.run(LAYER, new Uint8Array(10), 0), AbortedError);
    await assert.rejects(decodeSpan(spanJob(), { signal: AbortSignal.abort() }), { name: 'AbortError' });
  },

  async 'abort-during'() {
    // More calls than pool threads: some of them run, some wait.
    const indexers = Array.from({ length: 12 }, () => createIndexer(GZIP));
    const decoders = Array.from({ length: 12 }, () => createSpanDecoder(START));
    const controllers = Array.from({ length: 12 }, () => new AbortController());
    const pending = [
      ...indexers.map(indexer => scan(indexer)),
      ...decoders.map(decoder => decoder.run(LAYER, new Uint8Array(4 * MIB), 0)),
      ...controllers.map(({ signal }, i) => decodeSpan({ ...spanJob(), bulk: i % 3 > 0 }, { signal })),
    ];
    for (const object of [...indexers, ...decoders, ...controllers]) object.abort();
    const outcomes = await Promise.allSettled<unknown>(pending);
    // A few may have been done before the abort; a signal speaks for all of its calls.
    for (const outcome of outcomes.slice(0, 24)) {
      assert.ok(outcome.status === 'fulfilled' || outcome.reason instanceof AbortedError);
    }
    for (const [i, { signal }] of controllers.entries()) {
      const outcome = outcomes[24 + i];
      assert.ok(outcome?.status === 'rejected' && outcome.reason === signal.reason);
    }
  },

  async 'abort-after'() {
    const indexer = createIndexer(GZIP);
    const { consumed } = await scan(indexer);
    assert.ok(consumed > 0);
    indexer.abort();
    indexer.abort();
    const controller = new AbortController();
    await decodeSpan(spanJob(), { signal: controller.signal });
    controller.abort();
    const finished = createIndexer({ ...GZIP, compression: 'uncompressed' });
    await finished.finish();
    finished.abort();
  },

  async 'input-freed-during-work'() {
    for (let i = 0; i < 4; i++) {
      const [fed, ran, decoded] = [0, 1, 2].map(() => Uint8Array.from(LAYER)) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      const window = new Uint8Array(32768);
      const pending = [
        scan(createIndexer(GZIP), fed),
        createSpanDecoder({ ...START, start: 'raw', window }).run(
          ran.subarray(10),
          new Uint8Array(4 * MIB),
          0,
        ),
        decodeSpan({ ...spanJob(decoded.subarray(10)), start: 'raw', window }),
      ];
      for (const array of [fed, ran, decoded, window]) freeMemoryOf(array);
      const output = (await Promise.all<unknown>(pending))[2] as Uint8Array;
      assert.ok(BODY.equals(output));
    }
  },

  async 'output-freed-during-work'() {
    for (let i = 0; i < 4; i++) {
      const whole = new Uint8Array(BODY.length);
      const piece = new Uint8Array(4 * MIB);
      const pending = [decodeSpan(spanJob(LAYER, whole)), createSpanDecoder(START).run(LAYER, piece, 0)];
      freeMemoryOf(whole);
      freeMemoryOf(piece);
      await assertAllRefused(pending);
    }
  },

  async 'output-freed-after-some-of-it-was-copied'() {
    for (let i = 0; i < 4; i++) {
      const whole = new Uint8Array(BODY.length);
      whole.fill(1);
      const pending = decodeSpan(spanJob(LAYER, whole));
      // Zeros arrive while the job runs, or with its end.
      while (whole[0] === 1) await nextTurn();
      freeMemoryOf(whole);
      await pending.catch((error: SociError) => assert.equal(error.code, 'ERR_SOCI_INVALID_ARGUMENT'));
    }
  },

  async 'input-transferred-to-a-worker-that-exits'() {
    const indexer = createIndexer(GZIP);
    const chunk = Uint8Array.from(LAYER);
    const pending = scan(indexer, chunk);
    await inWorker('worker: exit on message', worker =>
      worker.postMessage(chunk, [chunk.buffer as ArrayBuffer]),
    );
    assert.equal(chunk.byteLength, 0);
    assert.ok((await pending).produced > 0);
  },

  async 'output-resized-during-work'() {
    const Resizable = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer & { resize(length: number): void };
    const memory = new Resizable(BODY.length, { maxByteLength: BODY.length });
    const output = new Uint8Array(memory);
    const piece = new Resizable(4 * MIB, { maxByteLength: 4 * MIB });
    const input = new Resizable(LAYER.length, { maxByteLength: LAYER.length });
    new Uint8Array(input).set(LAYER);
    const shrunk = [
      decodeSpan(spanJob(LAYER, output)),
      createSpanDecoder(START).run(LAYER, new Uint8Array(piece), 0),
    ];
    const kept = scan(createIndexer(GZIP), new Uint8Array(input));
    memory.resize(0);
    piece.resize(MIB);
    input.resize(0);
    await assertAllRefused(shrunk);
    assert.ok((await kept).produced > 0);
  },

  async 'collected-during-work'() {
    const pending = startEverything();
    for (let i = 0; i < 5; i++) {
      gc();
      await nextTurn();
    }
    await Promise.all(pending);
    gc();
  },

  async 'trees-dropped-are-collected'() {
    const open = openDescriptors();
    // 8 MiB of the tar and two descriptors; script holds next to nothing.
    const dropTree = async () => {
      const tree = emptyTree();
      tree.add(0, BODY);
      await tree.run(batchOf({ kind: 'BEGIN_FILE', path: 'begun' }));
    };
    for (let i = 0; i < 60; i++) {
      await dropTree();
      await nextTurn();
    }
    for (let turns = 0; openDescriptors() > open && turns < 1000; turns++) {
      gc();
      await nextTurn();
    }
    assert.equal(openDescriptors(), open);
    const peak = process.resourceUsage().maxRSS / 1024;
    assert.ok(peak < 400, `${Math.round(peak)} MiB at the peak`);
  },

  async 'loaded-twice'() {
    type Class = new (options: object) => NativeIndexer;
    const require = createRequire(import.meta.url);
    const file = (require('node-gyp-build') as { path(root: string): string }).path(process.cwd());
    const directory = mkdtempSync(path.join(tmpdir(), 'seekable-oci-'));
    const copy = path.join(directory, 'copy.node');
    copyFileSync(file, copy);
    const [first, second] = [file, copy].map(name => require(name) as { Indexer: Class });
    assert.ok(first !== undefined && second !== undefined && first.Indexer !== second.Indexer);
    const options = { ...GZIP, gzip: true, impliedFirstCheckpoint: false, checkpointsAt: undefined };
    const [a, b] = [new first.Indexer(options), new second.Indexer(options)];
    const fed = await Promise.all([scan(a), scan(b), scan(createIndexer(GZIP))]);
    assert.ok(fed.every(({ produced }) => produced === fed[0].produced));
    assert.throws(() => first.Indexer.prototype.push.call(b, LAYER), /Illegal invocation/);
    rmSync(directory, { recursive: true });
  },

  async 'dropped-indexers-are-collected'() {
    // Blocks of some hundred literals, a checkpoint and its 32 KiB at each, 16 MB: 100 times that is 1.6 GB. Script
    // allocates next to nothing here, so without being told of it the collector would not run.
    const literals = Buffer.from(
      Array.from({ length: 65536 }, (_, i) => (Math.imul(i, 2654435761) >>> 24) ^ i),
    );
    const blocks = gzipSync(literals, { memLevel: 1, level: 1 });
    for (let i = 0; i < 100; i++) {
      await scan(createIndexer({ ...GZIP, spanSize: 1 }), blocks);
      await nextTurn();
    }
    const peak = process.resourceUsage().maxRSS / 1024;
    assert.ok(peak < 600, `${Math.round(peak)} MiB at the peak`);
  },

  async 'no-leak'() {
    const round = async () => {
      const indexer = createIndexer(GZIP);
      await scan(indexer, LAYER.subarray(0, 4096));
      await assert.rejects(indexer.finish());
      const given = new Uint8Array(MIB);
      const decoder = createSpanDecoder(START);
      await decoder.run(LAYER, given, 0);
      await decodeSpan(spanJob(LAYER, 1000), { signal: new AbortController().signal });
      await decodeSpan(spanJob(LAYER, given));
      await assert.rejects(decodeSpan(spanJob(BODY.subarray(0, 1000), 10)));
      decoder.abort();
      await assert.rejects(decoder.run(LAYER, given, 0));
    };
    const settled = async () => {
      for (let i = 0; i < 5; i++) {
        gc();
        await nextTurn();
      }
      return process.memoryUsage().rss / MIB;
    };
    const rounds = async (count: number) => {
      for (let i = 0; i < count; i++) await round();
      return settled();
    };
    // One lost inflate state or window per round would be 10 MiB, one lost output of a job 250, in every window of
    // rounds; the allocator's own growth ends.
    let before = await rounds(150);
    let least = Number.POSITIVE_INFINITY;
    for (let window = 0; window < 4 && least >= 8; window++) {
      const after = await rounds(250);
      least = Math.min(least, after - before);
      before = after;
    }
    assert.ok(least < 8, `grew by at least ${least.toFixed(1)} MiB in every 250 rounds`);
  },

  'worker: start everything in an AsyncLocalStorage'() {
    new AsyncLocalStorage().run({}, () => {
      startEverything();
      parentPort?.postMessage('started');
    });
  },

  async 'worker: start everything'() {
    startEverything();
    parentPort?.postMessage('started');
  },

  async 'worker: start everything and exit'() {
    startEverything();
    process.exit(0);
  },

  async 'worker: start everything and throw'() {
    startEverything();
    await nextTurn();
    throw new Error('on purpose');
  },

  async 'worker: work for ever'() {
    parentPort?.postMessage('started');
    for (;;) await Promise.all(startEverything());
  },

  async 'worker: read a file for ever'() {
    parentPort?.postMessage('started');
    for (;;) await Promise.all(Array.from({ length: 8 }, () => decodeSpan(fileJob())));
  },

  async 'worker: write trees for ever'() {
    parentPort?.postMessage('started');
    for (;;) {
      const tree = emptyTree();
      await Promise.all(writeFiles(tree));
      tree.abort();
    }
  },

  async 'worker: finish everything'() {
    await Promise.all(startEverything());
  },

  async 'worker: exit on message'() {
    parentPort?.once('message', () => process.exit(0));
    parentPort?.postMessage('started');
  },
};

const name = isMainThread ? process.argv[2] : (workerData as { stage: string }).stage;
const stage = stages[name ?? ''];
if (stage === undefined) throw new Error(`no stage ${name}`);
await stage();
