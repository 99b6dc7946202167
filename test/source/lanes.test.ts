/** Who goes first where not all can go at once: lanes, raising, leaving, and that nobody is forgotten. */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { LANES, LaneGate, Urgency } from '../../lib/source/lanes.js';
import type { Lane } from '../../lib/source/range-source.js';
import fc from '../property.js';

/** A gate with room for so much. */
class Room extends LaneGate {
  #free: number;
  readonly size: number;

  constructor(size: number) {
    super();
    this.size = size;
    this.#free = size;
  }

  leave(size: number): void {
    this.#free += size;
    this.admit();
  }

  protected override fits(size: number): boolean {
    return this.#free === this.size || size <= this.#free;
  }

  protected override take(size: number): void {
    this.#free -= size;
  }
}

t.test('the most urgent goes first, in one lane whoever came first', async t => {
  const room = new Room(1);
  await room.enter(1);
  const order: string[] = [];
  const waiters = (['background', 'prefetch', 'demand', 'background', 'demand'] as const).map(
    async (lane, i) => {
      await room.enter(1, { urgency: new Urgency(lane) });
      order.push(`${lane} ${i}`);
      room.leave(1);
    },
  );
  await turn();
  t.same(order, []);
  room.leave(1);
  await Promise.all(waiters);
  t.same(order, ['demand 2', 'demand 4', 'prefetch 1', 'background 0', 'background 3']);
});

t.test('what somebody comes to wait for moves up, and never down', async t => {
  const room = new Room(1);
  await room.enter(1);
  const order: string[] = [];
  const enter = async (name: string, urgency: Urgency): Promise<void> => {
    await room.enter(1, { urgency });
    order.push(name);
    room.leave(1);
  };
  const [raised, kept] = [new Urgency('background'), new Urgency('prefetch')];
  const waiters = [enter('raised', raised), enter('kept', kept)];
  raised.raise('demand');
  raised.raise('background');
  kept.raise('prefetch');
  t.same([raised.lane, kept.lane], ['demand', 'prefetch']);
  room.leave(1);
  await Promise.all(waiters);
  t.same(order, ['raised', 'kept']);
  raised.raise('demand');
});

t.test('raising may let one in at once: the one before whom it stood did not fit', async t => {
  const room = new Room(10);
  await room.enter(6);
  const large = room.enter(8, { urgency: new Urgency('prefetch') });
  const urgency = new Urgency('background');
  let entered = false;
  const small = room.enter(2, { urgency }).then(() => {
    entered = true;
  });
  await turn();
  t.equal(entered, false, 'nobody passes one who stands before him');
  urgency.raise('demand');
  await small;
  room.leave(2);
  room.leave(6);
  await large;
});

t.test('who leaves takes nothing, and lets those behind him in', async t => {
  const room = new Room(10);
  await room.enter(6);
  const controller = new AbortController();
  const large = room.enter(8, { signal: controller.signal });
  const small = room.enter(4);
  const reason = new Error('left');
  controller.abort(reason);
  await t.rejects(large, reason);
  await small;
  await t.rejects(room.enter(1, { signal: controller.signal }), reason, 'nor does who comes too late');
});

t.test('whatever comes, waits, rises and leaves: order holds and all get in', async () => {
  const lane = fc.constantFrom<Lane>(...LANES);
  const arrival = fc.record({
    lane,
    size: fc.integer({ min: 1, max: 12 }),
    raised: lane,
    leaves: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(arrival, { maxLength: 30 }), async arrivals => {
      const room = new Room(10);
      await room.enter(10);
      const entered: { readonly index: number; readonly lane: Lane }[] = [];
      const places = arrivals.map((each, index) => {
        const urgency = new Urgency(each.lane);
        const controller = new AbortController();
        const inside = room.enter(each.size, { urgency, signal: controller.signal }).then(
          () => {
            entered.push({ index, lane: urgency.lane });
            return each.size;
          },
          () => 0,
        );
        return { urgency, controller, inside };
      });
      for (const [i, { raised, leaves }] of arrivals.entries()) {
        places[i]?.urgency.raise(raised);
        if (leaves) places[i]?.controller.abort();
      }
      room.leave(10);
      for (const { inside } of places) inside.then(size => size > 0 && room.leave(size));
      await Promise.all(places.map(({ inside }) => inside));
      const lanes = entered.map(each => LANES.indexOf(each.lane));
      const staying = arrivals.filter(({ leaves }) => !leaves).length;
      return entered.length === staying && lanes.every((each, i) => i === 0 || each >= (lanes[i - 1] ?? 0));
    }),
    { numRuns: 300 },
  );
});
