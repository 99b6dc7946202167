/** Work that several wait for: joining it, leaving it, and what is left of it then. */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { abortable } from '../../lib/async/abortable.js';
import { KeyedWork } from '../../lib/async/keyed-work.js';
import { SharedOnce } from '../../lib/async/once.js';
import { SharedWork } from '../../lib/async/shared-work.js';
import { Turns } from '../../lib/async/turns.js';
import { gate } from '../span/counting-source.js';

t.test('shared work outlives the waiters that leave, but not the last one', async t => {
  const { opened, open } = gate();
  let signal: AbortSignal | undefined;
  let over = 0;
  const work = new SharedWork(
    async s => {
      signal = s;
      await abortable(opened, s);
      return 'done';
    },
    () => over++,
  );
  const leaver = new AbortController();
  const left = work.wait(leaver.signal);
  const stays = work.wait();
  leaver.abort(new Error('left'));
  await t.rejects(left, { message: 'left' });
  t.notOk(signal?.aborted);
  open();
  t.equal(await stays, 'done');
  t.same([work.abandoned, over], [false, 1], 'it is over, and nobody has abandoned it');

  const second = new SharedWork(
    s => abortable(new Promise<void>(() => {}), s),
    () => over++,
  );
  const controllers = [new AbortController(), new AbortController()];
  const waits = controllers.map(({ signal }) => second.wait(signal));
  for (const controller of controllers) controller.abort(new Error('left'));
  for (const wait of waits) await t.rejects(wait, { message: 'left' });
  await second.finished();
  t.same([second.abandoned, over], [true, 2]);
});

t.test('abortable leaves no listener behind', async t => {
  const controller = new AbortController();
  let listeners = 0;
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  await abortable(Promise.resolve(), signal);
  await abortable(Promise.reject(new Error('x')), signal).catch(() => {});
  await turn();
  t.equal(listeners, 0);
});

t.test('keyed work is joined while it is under way, and begins anew after that', async t => {
  const works = new KeyedWork<string, number>();
  const { opened, open } = gate();
  let runs = 0;
  const work = async (): Promise<number> => {
    await opened;
    return ++runs;
  };
  const both = [works.join('a', undefined, work), works.join('a', undefined, work)];
  const other = works.join('b', undefined, async () => 7);
  t.equal(await other, 7, 'another key does not wait');
  open();
  t.same(await Promise.all(both), [1, 1]);
  t.equal(works.get('a'), undefined, 'what is over cannot be joined');
  t.equal(await works.join('a', undefined, work), 2);
  await t.rejects(
    works.join('a', undefined, async () => {
      throw new RangeError('once');
    }),
    RangeError,
  );
  t.equal(await works.join('a', undefined, work), 3, "a failure is nobody else's");
});

t.test('the last one to leave ends keyed work, and finished() waits for what is left of it', async t => {
  const works = new KeyedWork<string, void>();
  const { opened, open } = gate();
  let ended: unknown;
  const controller = new AbortController();
  const left = works.join('a', controller.signal, async signal => {
    await opened;
    ended = signal.reason;
  });
  const reason = new Error('left');
  controller.abort(reason);
  await t.rejects(left, reason);
  t.equal(works.get('a'), undefined, 'nobody joins what was abandoned');
  let finished = false;
  const all = works.finished().then(() => {
    finished = true;
  });
  await turn();
  t.equal(finished, false);
  open();
  await all;
  t.equal(ended, reason);
  await t.rejects(
    works.join('a', controller.signal, async () => {}),
    reason,
    'who has left starts nothing',
  );
});

t.test('what is made once is kept; a value that nobody waits for any more is discarded', async t => {
  const discarded: number[] = [];
  const gates = [gate(), gate()];
  let made = 0;
  const once = new SharedOnce(
    async () => {
      const number = made++;
      await gates[number]?.opened;
      return number;
    },
    value => void discarded.push(value),
  );
  const controller = new AbortController();
  const first = once.get(controller.signal);
  t.equal(once.begun, true);
  controller.abort(new Error('left'));
  await t.rejects(first, { message: 'left' });
  t.equal(once.begun, false);
  const second = once.get(undefined);
  gates[0]?.open();
  gates[1]?.open();
  t.equal(await second, 1);
  t.equal(await once.get(undefined), 1);
  await once.finished();
  t.same(discarded, [0]);
});

t.test('turns are taken one at a time, in order, and a failure holds nobody up', async t => {
  const turns = new Turns();
  const { opened, open } = gate();
  const begun: number[] = [];
  const first = turns.run(async () => {
    begun.push(1);
    await opened;
    throw new RangeError('first');
  });
  const second = turns.run(async () => begun.push(2));
  await turn();
  t.same(begun, [1]);
  open();
  await t.rejects(first, RangeError);
  t.equal(await second, 2);
  t.same(begun, [1, 2]);
});
