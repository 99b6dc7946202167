/** How many requests a host bears at once, learnt from what becomes of them. */
import t from 'tap';
import { AdaptiveLimit } from '../../lib/source/http/request-limit.js';
import fc from '../property.js';

function limitOf(connections: number): AdaptiveLimit {
  const limit = new AdaptiveLimit();
  limit.allow(connections);
  return limit;
}

t.test('it begins with all connections, halves once per round trip, and never ends', async t => {
  const limit = limitOf(16);
  t.equal(limit.places, 16);
  const { epoch } = limit;
  limit.failed(epoch);
  limit.failed(epoch);
  t.equal(limit.places, 8, 'those that were sent before say nothing of after');
  for (let i = 0; i < 10; i++) limit.failed(limit.epoch);
  t.equal(limit.places, 1);
});

t.test('one more for as many successes as there are places, if they were needed', async t => {
  const limit = limitOf(8);
  limit.failed(limit.epoch);
  t.equal(limit.places, 4);
  for (let i = 0; i < 3; i++) limit.succeeded(limit.epoch, 'crowded');
  for (let i = 0; i < 9; i++) limit.succeeded(limit.epoch, 'roomy');
  limit.succeeded(limit.epoch - 1, 'crowded');
  t.equal(limit.places, 4);
  limit.succeeded(limit.epoch, 'crowded');
  t.equal(limit.places, 5);
  for (let i = 0; i < 100; i++) limit.succeeded(limit.epoch, 'crowded');
  t.equal(limit.places, 8);
});

t.test('more connections are more places, unless there was a reason for less', async t => {
  const limit = limitOf(4);
  limit.allow(8);
  limit.allow(2);
  t.equal(limit.places, 8);
  limit.failed(limit.epoch);
  limit.allow(32);
  t.equal(limit.places, 4);
});

t.test('late answers: most of a window, and by far', async t => {
  const limit = limitOf(10);
  const answers = (ms: number, count: number): void => {
    for (let i = 0; i < count; i++) limit.answered(limit.epoch, ms, 20);
  };
  answers(130, 20);
  t.equal(limit.places, 10, 'making a connection may take that long');
  answers(500, 5);
  answers(100, 5);
  t.equal(limit.places, 10, 'half of them were not late');
  answers(100, 4);
  answers(500, 6);
  t.equal(limit.places, 5);
  answers(500, 7);
  t.equal(limit.places, 5, 'few answers say little');
  answers(500, 1);
  t.equal(limit.places, 2);
});

t.test('whatever happens, there is a place, and there are no more than connections', async () => {
  const event = fc.tuple(fc.nat(3), fc.nat(2000), fc.nat(2));
  await fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.array(event), (connections, events) => {
      const limit = limitOf(connections);
      for (const [kind, ms, age] of events) {
        const epoch = limit.epoch - age;
        const before = limit.places;
        if (kind === 0) limit.failed(epoch);
        else if (kind === 1) limit.answered(epoch, ms, 10);
        else limit.succeeded(epoch, kind === 2 ? 'crowded' : 'roomy');
        if (limit.places < 1 || limit.places > connections) throw new Error(`${limit.places} places`);
        if (limit.places < Math.floor(before / 2) || limit.places > before + 1) throw new Error('a leap');
        if (age > 0 && limit.places !== before) throw new Error('an old request counted');
      }
    }),
  );
});
