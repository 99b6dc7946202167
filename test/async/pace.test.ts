import t from 'tap';
import { Pace } from '../../lib/async/pace.js';

/** Works until the clock says that a turn is due. */
function work(): void {
  const end = performance.now() + 20;
  while (performance.now() < end);
}

t.test('a turn of the event loop is given when the last one is a while ago, and not before', async t => {
  const pace = new Pace();
  let turns = 0;
  setImmediate(() => {
    turns += 1;
  });
  await pace.step();
  t.equal(turns, 0);
  work();
  await pace.step();
  t.equal(turns, 1);
});

t.test('an abort in that turn is seen', async t => {
  const pace = new Pace();
  const controller = new AbortController();
  work();
  setImmediate(() => controller.abort(new Error('enough')));
  await t.rejects(pace.step(controller.signal), { message: 'enough' });
});
