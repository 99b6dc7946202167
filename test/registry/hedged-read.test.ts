/** Two requests for the same bytes: who decides at every stage, and that nothing goes on behind the end. */
import t from 'tap';
import { type HedgeOutcome, hedgedRead } from '../../lib/registry/hedged-read.js';
import fc from '../property.js';

/** What a request does, in turns of the event loop. */
interface Script {
  /** When its first byte comes; undefined: never. */
  readonly answers: number | undefined;
  /** How many turns later it ends, and how; undefined: never by itself. */
  readonly ends: readonly [number, 'well' | 'badly'] | undefined;
  /** When it fails without a byte, if it does not answer. */
  readonly fails: number | undefined;
}

const turns = fc.nat({ max: 6 });
const script: fc.Arbitrary<Script> = fc.record({
  answers: fc.option(turns, { nil: undefined }),
  ends: fc.option(fc.tuple(turns, fc.constantFrom('well' as const, 'badly' as const)), { nil: undefined }),
  fails: fc.option(turns, { nil: undefined }),
});

const pass = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve));
};

class Actor {
  readonly name: string;
  readonly #script: Script;
  running = false;
  answered = false;

  constructor(name: string, script: Script) {
    this.name = name;
    this.#script = script;
  }

  readonly read = async (signal: AbortSignal, onFirstByte: () => void): Promise<void> => {
    this.running = true;
    const { answers, ends, fails } = this.#script;
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    const act = async (): Promise<void> => {
      if (answers === undefined) {
        if (fails === undefined) return await new Promise<never>(() => {});
        await pass(fails);
        throw new Error(`${this.name} failed`);
      }
      await pass(answers);
      if (signal.aborted) return;
      this.answered = true;
      onFirstByte();
      if (ends === undefined) return await new Promise<never>(() => {});
      await pass(ends[0]);
      if (ends[1] === 'badly') throw new Error(`${this.name} broke off`);
    };
    try {
      await Promise.race([act(), aborted]);
    } finally {
      this.running = false;
    }
  };
}

t.test('whatever two requests do', async t => {
  await fc.assert(
    fc.asyncProperty(script, script, turns, async (one, two, abortAfter) => {
      const [first, second] = [new Actor('first', one), new Actor('second', two)];
      const controller = new AbortController();
      const reason = new Error('enough');
      const reading = hedgedRead({
        first: first.read,
        second: () => second.read,
        wait: 0,
        signal: controller.signal,
      });
      let outcome: HedgeOutcome | undefined;
      const settled = reading.then(found => {
        outcome = found;
      });
      // Long enough for all that ends by itself.
      await Promise.race([settled, pass(40 + abortAfter)]);
      if (outcome === undefined) controller.abort(reason);
      await settled;
      const { by, first: endOfFirst, second: endOfSecond } = outcome as unknown as HedgeOutcome;
      t.notOk(first.running || second.running, 'nothing goes on');
      const winner = by === 'first' ? endOfFirst : endOfSecond;
      t.not(winner, 'overtaken');
      if (endOfSecond === undefined) return true;
      const loser = by === 'first' ? endOfSecond : endOfFirst;
      if (first.answered || second.answered) {
        t.ok((by === 'first' ? first : second).answered, 'who has answered decides');
      } else {
        t.equal(by, 'first', 'of two that failed, the first');
        t.ok(typeof winner === 'object' && typeof loser === 'object');
      }
      return true;
    }),
    { numRuns: 150 },
  );
});

const well = async (_: AbortSignal, heard: () => void): Promise<void> => heard();
const never = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
const badly = (message: string) => async (): Promise<void> => {
  throw new Error(message);
};

t.test('no second is sent when the first answers or fails in time', async t => {
  for (const first of [well, badly('no')]) {
    const second = (): never => t.fail('sent') as never;
    const outcome = await hedgedRead({ first, wait: 60_000, second, signal: undefined });
    t.match(outcome, { by: 'first', second: undefined });
  }
});

t.test('a second that cannot be afforded is not sent', async t => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const second = (): undefined => {
    setImmediate(() => controller.abort(reason));
  };
  const outcome = await hedgedRead({ first: never, wait: 1, second, signal: controller.signal });
  t.same(outcome, { by: 'first', first: { error: reason }, second: undefined });
});

t.test('stages', async t => {
  const race = (first: typeof well, second: typeof well): Promise<HedgeOutcome> =>
    hedgedRead({ first, wait: 1, second: () => second, signal: undefined });
  t.same(await race(never, well), { by: 'second', first: 'overtaken', second: 'done' });
  const late = (wait: number, then: typeof well): typeof well => {
    return async (signal, heard) => {
      await new Promise(resolve => setTimeout(resolve, wait));
      await then(signal, heard);
    };
  };
  t.match(await race(late(10, well), badly('lost')), {
    by: 'first',
    first: 'done',
    second: { error: /lost/ },
  });
  t.match(await race(late(10, badly('one')), late(20, well)), { by: 'second', first: { error: /one/ } });
  t.match(await race(late(10, badly('one')), badly('two')), { by: 'first', first: { error: /one/ } });
  const answersThenFails: typeof well = async (_, heard) => {
    heard();
    throw new Error('broke off');
  };
  t.match(await race(never, answersThenFails), { by: 'second', second: { error: /broke off/ } });
});

t.test('a signal that was aborted before', async t => {
  const reason = new Error('enough');
  await t.rejects(
    hedgedRead({ first: well, wait: 1, second: () => well, signal: AbortSignal.abort(reason) }),
    reason,
  );
});
