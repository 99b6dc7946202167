/**
 * Jobs of many, which a thread does two at a time while more of them wait than
 * threads are free: each keeps its own result, its own error and its own end.
 */
import { setImmediate } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { decodeSpan, type GzipSpanJob, setDecodeConcurrency } from '../../lib/binding.js';
import { LAYER, sha256, TAR } from './small-layer.js';

const MIB = 1024 * 1024;

const BULK: GzipSpanJob = {
  codec: 'gzip',
  engine: 'fast',
  start: 'gzip',
  bits: 0,
  window: undefined,
  input: LAYER,
  digest: sha256(LAYER),
  digestOffset: 0,
  output: TAR.length,
  bulk: true,
};

/** Takes longer than anything else; to be aborted. */
const ENDLESS: GzipSpanJob = {
  ...BULK,
  engine: 'zlib',
  input: gzipSync(Buffer.alloc(256 * MIB), { level: 1 }),
  digest: undefined,
  output: 256 * MIB,
  bulk: false,
};

/** What `queue` queues while the only thread is taken, and is begun at once then. */
async function together<T>(queue: () => T): Promise<T> {
  const first = new AbortController();
  const taken = decodeSpan(ENDLESS, { signal: first.signal });
  const queued = queue();
  first.abort();
  await taken.catch(() => {});
  return queued;
}

/**
 * A long job whose output is copied while it runs, so that one sees that it does. `end`
 * aborts it and says whether it was still running then: where script had to wait for a
 * processor it may not have been.
 */
function long(options: { bulk: boolean }): { started: Promise<void>; end(): Promise<boolean> } {
  const output = new Uint8Array(128 * MIB).fill(1, 0, 1);
  const controller = new AbortController();
  const job = decodeSpan({ ...ENDLESS, ...options, output }, { signal: controller.signal });
  const aborted = job.then(
    () => false,
    (error: Error) => error.name === 'AbortError',
  );
  const started = (async () => {
    while (output[0] === 1) await setImmediate();
  })();
  const end = (): Promise<boolean> => {
    controller.abort();
    return aborted;
  };
  return { started, end };
}

/** What becomes of a short job that is queued in front of a long one. */
async function inFrontOfLong(short: Partial<GzipSpanJob>, options: { bulk: boolean }) {
  const { job, last } = await together(() => ({
    job: decodeSpan({ ...BULK, ...short }),
    last: long(options),
  }));
  let settled = false;
  const watched = job.finally(() => {
    settled = true;
  });
  watched.catch(() => {});
  await last.started;
  const alone = settled;
  return { alone, job, seen: await last.end() };
}

/** What one saw of `attempt` in time. */
async function inTime<T extends { readonly seen: boolean }>(attempt: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    const result = await attempt();
    if (result.seen || attempts === 10) return result;
  }
}

t.test('two of many are one piece of work, and one that is aborted leaves the other whole', async t => {
  const { alone, job, seen } = await inTime(() => inFrontOfLong({}, { bulk: true }));
  t.ok(seen);
  t.notOk(alone, 'it ends with the other');
  t.ok(TAR.equals(await job));
});

t.test('two of which one is no job of many are not', async t => {
  for (const [first, second] of [
    [true, false],
    [false, true],
    [false, false],
  ] as const) {
    const { alone, job, seen } = await inTime(() => inFrontOfLong({ bulk: first }, { bulk: second }));
    t.ok(seen);
    t.ok(alone, `${first}, ${second}`);
    t.ok(TAR.equals(await job));
  }
});

t.test('no thread is left without work for it', async t => {
  setDecodeConcurrency(2);
  t.teardown(() => setDecodeConcurrency(1));
  const { decoded, seen } = await inTime(async () => {
    const last = long({ bulk: true });
    const decoded = await decodeSpan(BULK);
    return { decoded, seen: await last.end() };
  });
  t.ok(seen, 'while the long one runs');
  t.ok(TAR.equals(decoded));
});

t.test('an error in one of two is its own', async t => {
  const damaged = Buffer.from(LAYER);
  damaged[LAYER.length >> 1] = (damaged[LAYER.length >> 1] ?? 0) ^ 1;
  const faults: [Partial<GzipSpanJob>, string][] = [
    [{ input: damaged }, 'ERR_SOCI_SPAN_DIGEST'],
    [{ input: TAR, digest: undefined }, 'ERR_SOCI_GZIP_HEADER'],
    [{ output: TAR.length + 1 }, 'ERR_SOCI_SPAN_LENGTH'],
    [{ input: LAYER.subarray(0, 5000), digest: undefined }, 'ERR_SOCI_SPAN_LENGTH'],
  ];
  for (const [fault, code] of faults) {
    for (const faulty of [0, 1]) {
      const outcomes = await together(() =>
        Promise.allSettled([0, 1].map(i => decodeSpan(i === faulty ? { ...BULK, ...fault } : BULK))),
      );
      const [bad, good] = faulty === 0 ? outcomes : [...outcomes].reverse();
      t.match(bad, { status: 'rejected', reason: { code } });
      t.ok(good?.status === 'fulfilled' && TAR.equals(good.value));
    }
  }
});

t.test('many of them, of every kind of output, and some that are not wanted any more', async t => {
  const controller = new AbortController();
  const outcomes = await together(() => {
    const jobs = Array.from({ length: 13 }, (_, i) => {
      const output = i % 3 === 0 ? new Uint8Array(TAR.length) : TAR.length;
      const options = i % 4 === 1 ? { signal: controller.signal } : {};
      return decodeSpan({ ...BULK, output }, options);
    });
    controller.abort();
    return Promise.allSettled(jobs);
  });
  for (const [i, outcome] of outcomes.entries()) {
    if (i % 4 === 1) t.match(outcome, { status: 'rejected', reason: { name: 'AbortError' } });
    else t.ok(outcome.status === 'fulfilled' && TAR.equals(outcome.value), `${i}`);
  }
});
