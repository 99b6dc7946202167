/** A bound on bytes per second: turns, and what is given back. */
import t from 'tap';
import { ByteRate } from '../../lib/async/byte-rate.js';

const never = new AbortController().signal;

t.test('the first one need not wait; who comes later waits for his turn, or leaves', async t => {
  const rate = new ByteRate(1);
  await rate.take(1_000_000, never);
  const controller = new AbortController();
  const waiting = rate.take(1, controller.signal);
  controller.abort(new Error('gone'));
  await t.rejects(waiting, { message: 'gone' });
  await t.rejects(rate.take(1, AbortSignal.abort(new Error('early'))), { message: 'early' });
  rate.giveBack(1_000_001);
  await rate.take(1_000_000, never);
});

t.test('no bound, no waiting', async t => {
  const rate = new ByteRate(undefined);
  for (let turn = 0; turn < 3; turn++) await rate.take(Number.MAX_SAFE_INTEGER, never);
  t.pass('all at once');
});
