/** Whom to ask first: what the order promises for every set of measurements, and the cases that it is made for. */
import t from 'tap';
import { chooseEndpoints, goesBefore, type Standing } from '../../lib/registry/endpoint-choice.js';
import fc from '../property.js';

const latency = fc.option(
  fc.oneof(fc.double({ min: 0.25, max: 5000, noNaN: true }), fc.constantFrom(10, 20, 40, 120, 500)),
  { nil: undefined },
);
const standing = (mirror: boolean): fc.Arbitrary<Standing> =>
  fc.record({
    mirror: fc.constant(mirror),
    trust: fc.constantFrom('sound', 'sound', 'doubtful', 'resting'),
    latency,
    unmeasured: fc.boolean(),
  });
/** Mirrors, then the registry, if it may be asked at all. */
const standings: fc.Arbitrary<Standing[]> = fc
  .tuple(fc.array(standing(true), { maxLength: 6 }), fc.array(standing(false), { maxLength: 1 }))
  .map(([mirrors, registry]) => [...mirrors, ...registry])
  .filter(all => all.length > 0);

const sound = (latency?: number, more: Partial<Standing> = {}): Standing => ({
  mirror: true,
  trust: 'sound',
  latency,
  unmeasured: latency === undefined,
  ...more,
});
const registry = (latency?: number, more: Partial<Standing> = {}): Standing =>
  sound(latency, { mirror: false, ...more });

t.test('the order is a permutation, by trust before all else', t => {
  const rank = { sound: 0, doubtful: 1, resting: 2 };
  fc.assert(
    fc.property(standings, all => {
      const { order } = chooseEndpoints(all);
      t.strictSame([...order].sort(), [...all.keys()]);
      const ranks = order.map(place => rank[all[place]!.trust]);
      return ranks.every((value, at) => at === 0 || ranks[at - 1]! <= value);
    }),
  );
  t.end();
});

t.test('who is asked first is asked out of turn only for being clearly faster', t => {
  fc.assert(
    fc.property(standings, all => {
      const { order } = chooseEndpoints(all);
      const same = (place: number): boolean => all[place]!.trust === all[order[0]!]!.trust;
      for (const place of order.slice(1).filter(same)) {
        const [first, other] = [all[order[0]!]!, all[place]!];
        // Nobody of a kind that is asked later is clearly faster than the first.
        if (first.mirror === other.mirror) t.notOk(goesBefore(other, first));
        // The registry is before no mirror that is not much slower.
        if (!first.mirror) t.ok(goesBefore(first, other));
      }
      const equal = all.map(each => ({ ...each, latency: undefined }));
      const configured = chooseEndpoints(equal).order;
      const inTurn = configured.filter(same);
      t.strictSame(
        inTurn,
        [...inTurn].sort((a, b) => a - b),
        'with nothing measured the configured order stands',
      );
      return true;
    }),
  );
  t.end();
});

t.test('the registry follows every mirror of the same trust that is not much slower', t => {
  fc.assert(
    fc.property(standings, all => {
      const { order } = chooseEndpoints(all);
      const own = order.findIndex(place => !all[place]!.mirror);
      if (own < 0) return true;
      const behind = order.slice(own + 1).map(place => all[place]!);
      const { trust } = all[order[own]!]!;
      return behind.every(each => each.trust !== trust || goesBefore(all[order[own]!]!, each));
    }),
  );
  t.end();
});

t.test('a choice is the same twice, and ages of measurements do not change the order', t => {
  fc.assert(
    fc.property(standings, all => {
      const choice = chooseEndpoints(all);
      t.strictSame(chooseEndpoints(all), choice);
      const measured = all.map(each => ({ ...each, unmeasured: false }));
      t.strictSame(chooseEndpoints(measured), { order: choice.order, probe: undefined });
      return true;
    }),
  );
  t.end();
});

t.test('probed is somebody else, who does not rest, and is worth it', t => {
  fc.assert(
    fc.property(standings, all => {
      const { order, probe } = chooseEndpoints(all);
      if (probe === undefined) return true;
      const [first, probed] = [all[order[0]!]!, all[probe]!];
      t.not(probe, order[0]);
      t.ok(probed.unmeasured && probed.trust !== 'resting');
      const couldBeBetter = goesBefore({ ...probed, latency: 0 }, first);
      return probed.trust === 'doubtful' || probe < order[0]! || couldBeBetter;
    }),
  );
  t.end();
});

t.test('mirrors', t => {
  const order = (...all: Standing[]): readonly number[] => chooseEndpoints(all).order;
  t.strictSame(order(sound(), sound()), [0, 1]);
  t.strictSame(order(sound(100), sound(60)), [0, 1], 'not twice as fast');
  t.strictSame(order(sound(30), sound(12)), [0, 1], 'nobody feels 18 ms');
  t.strictSame(order(sound(100), sound(45)), [1, 0]);
  t.strictSame(order(sound(100), sound()), [0, 1], 'who knows');
  t.strictSame(order(sound(400), sound(100), sound(60)), [1, 2, 0], 'among the fast ones the order stands');
  t.strictSame(order(sound(1, { trust: 'resting' }), sound(400)), [1, 0]);
  t.strictSame(order(sound(1, { trust: 'resting' }), sound(9, { trust: 'doubtful' })), [1, 0]);
  t.end();
});

t.test('the registry', t => {
  const order = (...all: Standing[]): readonly number[] => chooseEndpoints(all).order;
  t.strictSame(order(sound(150), registry(60)), [0, 1], 'mirrors are there to spare it');
  t.strictSame(order(sound(90), registry(1)), [0, 1], 'not by enough');
  t.strictSame(order(sound(500), registry(100)), [1, 0]);
  t.strictSame(order(sound(500), sound(260), registry(100)), [0, 1, 2], 'one mirror is not much slower');
  t.strictSame(order(sound(1, { trust: 'doubtful' }), registry(100)), [1, 0]);
  t.end();
});

t.test('probes', t => {
  const probe = (...all: Standing[]): number | undefined => chooseEndpoints(all).probe;
  t.equal(probe(sound(), sound()), undefined, 'the first is not slow as far as anybody knows');
  t.equal(probe(sound(19), sound(), registry()), undefined, 'nobody could be clearly faster');
  t.equal(probe(sound(25), sound(), registry()), 1);
  t.equal(probe(sound(25), sound(20), registry()), undefined, 'a registry could not be faster by enough');
  t.equal(probe(sound(150), sound(140), registry()), 2);
  t.equal(probe(sound(400, { unmeasured: true }), sound(20)), 0, 'it may have recovered');
  t.equal(probe(sound(1, { trust: 'doubtful', unmeasured: true }), registry()), 0);
  t.equal(probe(sound(1, { trust: 'resting', unmeasured: true }), registry()), undefined);
  t.end();
});
