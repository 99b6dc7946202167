/** Two requests for the same bytes: who decides at every stage, and that nothing goes on behind the end. */
import t from 'tap';
import {
  type Contender,
  type HedgeOutcome,
  hedgedRead,
  type RequestProgress,
} from '../../lib/registry/hedged-read.js';
import { Silence } from '../../lib/registry/silence.js';
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

  readonly read: Contender = async (signal, progress) => {
    this.running = true;
    progress.leaves();
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
      progress.answered();
      if (signal.aborted) throw new Error('whoever answers first is not ended');
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

const well: Contender = async (_, { leaves, answered }) => {
  leaves();
  answered();
};
const never: Contender = (signal, { leaves }) => {
  leaves();
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
};
const badly =
  (message: string): Contender =>
  async () => {
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
  const race = (first: Contender, second: Contender): Promise<HedgeOutcome> =>
    hedgedRead({ first, wait: 1, second: () => second, signal: undefined });
  t.same(await race(never, well), { by: 'second', first: 'overtaken', second: 'done' });
  const late = (wait: number, then: Contender): Contender => {
    return async (signal, progress) => {
      progress.leaves();
      await new Promise(resolve => setTimeout(resolve, wait));
      await then(signal, { ...progress, leaves() {} });
    };
  };
  t.match(await race(late(10, well), badly('lost')), {
    by: 'first',
    first: 'done',
    second: { error: /lost/ },
  });
  t.match(await race(late(10, badly('one')), late(20, well)), { by: 'second', first: { error: /one/ } });
  t.match(await race(late(10, badly('one')), badly('two')), { by: 'first', first: { error: /one/ } });
  const answersThenFails: Contender = async (_, { answered }) => {
    answered();
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

t.test('the loser is ended before the winner goes on', async t => {
  const ended: string[] = [];
  let firstAnswers = (): void => {};
  const first: Contender = async (signal, progress) => {
    progress.leaves();
    await new Promise<void>(resolve => {
      firstAnswers = resolve;
      signal.addEventListener('abort', () => ended.push('first'), { once: true });
    });
    progress.answered();
    t.ok(signal.aborted, 'too late');
    throw signal.reason;
  };
  const second: Contender = async (_, { answered }) => {
    answered();
    t.same(ended, ['first']);
    firstAnswers();
  };
  const outcome = await hedgedRead({ first, wait: 1, second: () => second, signal: undefined });
  t.same(outcome, { by: 'second', first: 'overtaken', second: 'done' });
});

t.test('the second is told when the first writes nothing more', async t => {
  const order: string[] = [];
  const first: Contender = async (signal, { leaves }) => {
    leaves();
    await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }));
    await pass(3);
    order.push('written');
    throw signal.reason;
  };
  const second = (firstEnded: Promise<unknown>): Contender => {
    const told = firstEnded.then(() => order.push('told'));
    return async (_, { answered }) => {
      answered();
      await told;
    };
  };
  await hedgedRead({ first, wait: 1, second, signal: undefined });
  t.same(order, ['written', 'told']);
});

t.test('silence begins when a request leaves, and not while it waits for its turn', async t => {
  const order: string[] = [];
  let progress: RequestProgress | undefined;
  const first: Contender = (signal, given) => {
    progress = given;
    return never(signal, { ...given, leaves() {} });
  };
  const second = (): Contender => {
    order.push('second');
    return well;
  };
  const reading = hedgedRead({ first, wait: 1, second, signal: undefined });
  const longer = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 20));
  progress?.waits();
  await longer();
  progress?.leaves();
  progress?.waits();
  await longer();
  t.same(order, []);
  progress?.leaves();
  await reading;
  t.same(order, ['second']);
});

t.test('silence that nobody asks for any more leaves no timer', async t => {
  for (const end of ['before', 'behind'] as const) {
    const silence = new Silence(60_000);
    if (end === 'before') silence.begin();
    silence.break();
    silence.begin();
    t.equal(await silence.outcome, 'broken');
  }
  t.notOk(process.getActiveResourcesInfo().includes('Timeout'));
});
