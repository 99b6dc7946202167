/** Whose turn it is at a host: lanes, making room, being left alone, places, and that none of them is ever lost. */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { SociError } from '../../lib/errors.js';
import { NoRoom } from '../../lib/source/http/no-room.js';
import { Preempted } from '../../lib/source/http/preempted.js';
import { LANES, Urgency } from '../../lib/source/lanes.js';
import type { Lane } from '../../lib/source/range-source.js';
import fc from '../property.js';
import { FakeWire, type Sent } from './fake-wire.js';

const RESET = new SociError('ERR_SOCI_HTTP_NETWORK', 'reset', { data: { temporary: true } });
const MIB = 1024 * 1024;

t.test('as many as there are connections, the most urgent first', async t => {
  const wire = new FakeWire(2);
  for (const path of ['one', 'two']) wire.ask(path);
  for (const lane of ['background', 'prefetch', 'demand', 'background', 'prefetch', 'demand'] as const) {
    wire.ask(lane, { lane });
  }
  wire.ask('other', { host: 'other' });
  await turn();
  t.same(wire.underWay, ['one', 'two', 'other'], 'a host has its own places');
  const order: string[] = [];
  wire.onSent = ({ path }) => order.push(path);
  for (const path of ['one', 'demand', 'demand', 'prefetch', 'prefetch', 'two', 'background', 'background']) {
    wire.of(path).answer().end();
    await turn();
  }
  t.same(order, ['demand', 'demand', 'prefetch', 'prefetch', 'background', 'background']);
});

t.test('what nobody waits for makes room at once, and begins again when nobody waits', async t => {
  const wire = new FakeWire(8);
  const background = wire.ask('background', { lane: 'background' });
  const prefetch = wire.ask('prefetch', { lane: 'prefetch' });
  await turn();
  wire.of('background').answer().receive(1000);
  wire.ask('demand');
  t.equal(wire.of('background').over, true, 'before the demand is even sent');
  t.equal((await background).status, 206, 'the reply had come; its body broke off');
  t.equal(wire.of('background').request.signal.reason instanceof Preempted, true);
  await turn();
  t.same(wire.underWay, ['prefetch', 'demand'], 'connections are not short: what is fetched ahead goes on');
  const again = wire.ask('again', { lane: 'background' });
  await turn();
  t.same(wire.underWay, ['prefetch', 'demand']);
  wire.of('demand').answer().receive(5).end();
  await turn();
  t.same(wire.underWay, ['prefetch', 'again']);
  wire.of('again').answer().end();
  wire.of('prefetch').answer().end();
  await Promise.all([again, prefetch]);
});

t.test('what is fetched ahead makes room where connections are short, the latest first', async t => {
  const wire = new FakeWire(2);
  wire.ask('early', { lane: 'prefetch' });
  const late = wire.ask('late', { lane: 'prefetch' });
  await turn();
  wire.ask('demand');
  await t.rejects(late, Preempted);
  await turn();
  t.same(wire.underWay, ['early', 'demand']);
});

t.test('what somebody comes to wait for keeps its place, and makes room for itself', async t => {
  const wire = new FakeWire(4);
  const [one, two, three] = [new Urgency('background'), new Urgency('background'), new Urgency('prefetch')];
  wire.ask('one', { urgency: one });
  const broken = wire.ask('two', { urgency: two });
  await turn();
  one.raise('demand');
  await t.rejects(broken, Preempted, 'the other one is in its way');
  wire.ask('demand');
  wire.ask('three', { urgency: three });
  await turn();
  t.same(wire.underWay, ['one', 'demand', 'three']);
  const waiting = new Urgency('background');
  wire.ask('waiting', { urgency: waiting });
  await turn();
  t.same(wire.underWay, ['one', 'demand', 'three']);
  waiting.raise('demand');
  await turn();
  t.same(wire.underWay, ['one', 'demand', 'three', 'waiting']);
});

t.test('a stream leaves its place when it begins, a refusal when it is there, a sender at once', async t => {
  const wire = new FakeWire(1);
  wire.ask('stream', { limitTotalTime: false });
  wire.ask('upload', { body: new Uint8Array(1) });
  await turn();
  t.same(wire.underWay, ['stream']);
  wire.of('stream').answer(200).receive(100);
  await turn();
  t.same(wire.underWay, ['stream', 'upload']);
  wire.ask('background', { lane: 'background' });
  await turn();
  t.same(wire.underWay, ['stream', 'upload', 'background'], 'it may feed the upload');
  wire.of('background').answer(404);
  wire.ask('next');
  await turn();
  t.same(wire.underWay, ['stream', 'upload', 'background', 'next'], 'nobody need read why it was refused');
});

t.test('what is only worth sending at once waits for nobody, and keeps nobody waiting', async t => {
  const atOnce = { ifFull: 'fail' } as const;
  const wire = new FakeWire(2);
  for (const path of ['background 1', 'background 2']) wire.ask(path, { lane: 'background' });
  await turn();
  wire.ask('one', atOnce);
  await turn();
  t.same(wire.underWay, ['one'], 'what nobody waits for makes room');
  wire.ask('two', atOnce);
  await turn();
  t.same(wire.underWay, ['one', 'two']);
  await t.rejects(wire.ask('full', atOnce), NoRoom);
  wire.ask('waiting');
  wire.of('two').answer().end();
  await t.rejects(wire.ask('full', atOnce), NoRoom, 'others have waited for that place');
  await turn();
  for (const path of ['one', 'waiting']) wire.of(path).answer().end();
  wire.ask('prefetch', { lane: 'prefetch', ...atOnce });
  wire.ask('ahead', { lane: 'prefetch' });
  await turn();
  await t.rejects(wire.ask('full', atOnce), NoRoom, 'nor is what is fetched ahead broken off');
  t.same(wire.underWay, ['prefetch', 'ahead']);
  wire.of('prefetch').answer().end();
  wire.of('ahead').answer(429, { 'retry-after': '5' }).end();
  await t.rejects(wire.ask('held', atOnce), NoRoom);
  wire.clock.pass(5000);
  wire.ask('last', atOnce);
  await turn();
  t.same(wire.underWay, ['last']);
});

t.test('a request tells that it waits, and that it leaves', async t => {
  const wire = new FakeWire(1);
  const told: string[] = [];
  const departure = { waits: () => told.push('waits'), leaves: () => told.push('leaves') };
  wire.ask('one');
  const asked = wire.ask('two', { departure });
  await turn();
  t.same(told, ['waits']);
  wire.of('one').answer().end();
  await turn();
  t.same(told, ['waits', 'leaves']);
  wire.of('two').answer().end();
  await asked;
  await t.rejects(wire.ask('three', { departure, signal: AbortSignal.abort(RESET) }), RESET);
  t.equal(told.filter(step => step === 'leaves').length, 1);
});

t.test('what its reader broke off is nobody’s fault: a host keeps its places', async t => {
  const wire = new FakeWire(4);
  for (const answered of [false, true]) {
    const controller = new AbortController();
    const path = `overtaken-${answered}`;
    const asked = wire.ask(path, { signal: controller.signal });
    await turn();
    if (answered) wire.of(path).answer();
    controller.abort(Symbol('overtaken'));
    await asked.catch(() => {});
  }
  for (let i = 0; i < 5; i++) wire.ask(`${i}`);
  await turn();
  t.same(wire.underWay, ['0', '1', '2', '3']);
});

t.test('Retry-After holds for all that go to the host, and for no other', async t => {
  const wire = new FakeWire(4);
  wire.ask('first');
  wire.ask('under way');
  await turn();
  wire.of('first').answer(429, { 'retry-after': '5' }).end();
  wire.ask('held');
  wire.ask('elsewhere', { host: 'elsewhere' });
  const controller = new AbortController();
  const left = wire.ask('left', { signal: controller.signal });
  await turn();
  t.same(wire.underWay, ['under%20way', 'elsewhere']);
  controller.abort(RESET);
  await t.rejects(left, RESET);
  wire.clock.pass(4999);
  await turn();
  t.same(wire.underWay, ['under%20way', 'elsewhere']);
  wire.clock.pass(1);
  await turn();
  t.same(wire.underWay, ['under%20way', 'elsewhere', 'held']);
  t.equal(wire.clock.pending, 0);
  wire.of('under%20way').answer().end();
  wire.of('held').answer(503, { 'retry-after': '61' });
  wire.ask('not held');
  await turn();
  t.same(wire.underWay.includes('not%20held'), true, 'whoever is told so would not wait either');
});

t.test('nobody waits any more: no timer is left', async t => {
  const wire = new FakeWire(4);
  wire.ask('first');
  await turn();
  wire.of('first').answer(429, { 'retry-after': '50' }).end();
  const controller = new AbortController();
  wire.ask('held', { signal: controller.signal });
  await turn();
  t.equal(wire.clock.pending, 1);
  controller.abort();
  await turn();
  t.equal(wire.clock.pending, 0);
  const closed = wire.ask('closed');
  await turn();
  wire.scope.close(RESET);
  await t.rejects(closed, RESET);
  await t.rejects(wire.ask('after'), RESET);
  await turn();
  t.equal(wire.clock.pending, 0);
});

t.test('a limit of bytes holds for what nobody waits for, over all hosts', async t => {
  let rate = MIB;
  const wire = new FakeWire(4, () => rate);
  const ask = (path: string, host: string): void => {
    wire.ask(path, { lane: 'background', expected: MIB, host });
  };
  ask('one', 'a');
  ask('two', 'b');
  ask('three', 'a');
  await turn();
  t.same(wire.underWay, ['one'], 'of a quarter of a second that was saved');
  wire.of('one').answer().receive(MIB).end();
  wire.ask('demand', { expected: 10 * MIB, host: 'c' });
  wire.clock.pass(749);
  await turn();
  t.same(wire.underWay, ['demand']);
  wire.clock.pass(1);
  await turn();
  t.same(wire.underWay, ['demand', 'two']);
  wire
    .of('two')
    .answer()
    .receive(MIB / 2)
    .fail(RESET);
  wire.clock.pass(1000);
  await turn();
  t.same(wire.underWay, ['demand', 'three'], 'what did not come was given back');
  ask('four', 'a');
  rate = 0;
  wire.traffic.admit();
  await turn();
  t.same(wire.underWay, ['demand', 'three', 'four']);
});

t.test('what is known of a link', async t => {
  const wire = new FakeWire(4);
  const url = new URL('http://host/');
  t.equal(wire.traffic.link(url), undefined);
  wire.ask('one');
  await turn();
  t.same({ ...wire.traffic.link(url) }, {});
  t.equal(wire.traffic.link(url)?.roundTripMs, undefined);
  wire.clock.pass(20);
  wire.of('one').answer().receive(65_536);
  wire.clock.pass(100);
  wire.of('one').receive(MIB).end();
  t.equal(wire.traffic.link(url)?.roundTripMs, 20);
  t.equal(wire.traffic.link(url)?.bytesPerSecond, 10 * MIB, 'the first piece was on its way before');
  wire.clock.pass(30_000);
  wire.ask('two');
  await turn();
  wire.clock.pass(35);
  wire.of('two').answer().end();
  t.equal(wire.traffic.link(url)?.roundTripMs, 20);
  wire.clock.pass(130_000);
  wire.ask('three');
  await turn();
  wire.clock.pass(30);
  wire.of('three').answer().end();
  t.equal(wire.traffic.link(url)?.roundTripMs, 30, 'the fastest of long ago says nothing');
});

t.test('hosts that nobody asks any more are forgotten in the end', async t => {
  const wire = new FakeWire(1);
  wire.ask('kept', { host: 'kept' });
  await turn();
  for (let i = 0; i < 300; i++) {
    wire.ask(`gone${i}`, { host: `gone${i}` });
    await turn();
    wire.of(`gone${i}`).answer().end();
  }
  t.equal(wire.traffic.link(new URL('http://gone0/')), undefined);
  t.not(wire.traffic.link(new URL('http://kept/')), undefined, 'not while something is under way');
  t.not(wire.traffic.link(new URL('http://gone299/')), undefined);
});

t.test('nor remembered for ever because there were more of them at the same time', async t => {
  const wire = new FakeWire(1);
  const hosts = Array.from({ length: 600 }, (_, i) => `host${i}`);
  for (const host of hosts) wire.ask(host, { host });
  await turn();
  for (const host of hosts) wire.of(host).answer().end();
  wire.ask('another', { host: 'another' });
  await turn();
  const remembered = hosts.filter(host => wire.traffic.link(new URL(`http://${host}/`)) !== undefined);
  t.equal(remembered.length, 255, 'and the other one');
});

type Act =
  | { readonly act: 'ask'; readonly lane: Lane; readonly stream: boolean }
  | {
      readonly act: 'raise' | 'abort' | 'answer' | 'receive' | 'end' | 'reset' | 'refuse';
      readonly which: number;
    }
  | { readonly act: 'pass'; readonly ms: number };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('ask' as const),
      lane: fc.constantFrom(...LANES),
      stream: fc.nat(9).map(n => n === 0),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      act: fc.constantFrom(
        ...(['raise', 'abort', 'answer', 'receive', 'end', 'end', 'reset', 'refuse'] as const),
      ),
      which: fc.nat(50),
    }),
  },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('pass' as const), ms: fc.nat(3000) }) },
);

interface Asked {
  readonly urgency: Urgency;
  readonly controller: AbortController;
  readonly stream: boolean;
  state: 'waiting' | 'sent' | 'settled';
}

t.test(
  'whatever comes, fails, rises and leaves: nobody is overtaken, no place is lost, everything ends',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        async (acts, connections) => {
          const wire = new FakeWire(connections);
          const asked: Asked[] = [];
          let heldUntil = 0;
          const of = (sent: Sent): Asked => asked[Number(sent.path)] as Asked;
          const waiting = (lane: Lane): boolean =>
            asked.some(({ urgency, state }) => state === 'waiting' && urgency.lane === lane);
          const onWire = (): Sent[] => wire.sent.filter(sent => !sent.over && !left.has(sent));
          /** Streams that have begun, and refusals. */
          const left = new Set<Sent>();
          /** Of requests that were sent: thrown there, it would only be their failure. */
          const wrong: string[] = [];
          wire.onSent = sent => {
            const it = of(sent);
            it.state = 'sent';
            const { lane } = it.urgency;
            if (wire.clock.now() < heldUntil) wrong.push('sent while the host was to be left alone');
            if (onWire().length > connections) wrong.push(`${onWire().length} at once`);
            if (lane !== 'demand' && waiting('demand')) wrong.push(`${lane} before demand`);
            if (lane === 'background' && waiting('prefetch')) wrong.push('background before prefetch');
            const demanded = onWire().some(other => of(other).urgency.lane === 'demand');
            if (lane === 'background' && demanded) wrong.push('background beside demand');
          };
          const ask = (lane: Lane, stream: boolean): void => {
            const each: Asked = {
              urgency: new Urgency(lane),
              controller: new AbortController(),
              stream,
              state: 'waiting',
            };
            const { urgency, controller } = each;
            const path = String(asked.push(each) - 1);
            wire.ask(path, { urgency, signal: controller.signal, limitTotalTime: !stream }).then(
              () => {},
              () => {
                each.state = 'settled';
              },
            );
          };
          const answer = (sent: Sent): void => {
            sent.answer();
            if (of(sent).stream) left.add(sent);
          };
          for (const each of acts) {
            if (each.act === 'ask') ask(each.lane, each.stream);
            else if (each.act === 'pass') wire.clock.pass(each.ms);
            else if (each.act === 'raise') asked[each.which]?.urgency.raise('demand');
            else if (each.act === 'abort') asked[each.which]?.controller.abort(RESET);
            else {
              const sent = onWire()[each.which % Math.max(1, onWire().length)];
              if (sent === undefined) continue;
              if (each.act === 'answer') answer(sent);
              else if (each.act === 'receive') {
                answer(sent);
                sent.receive(each.which);
              } else if (each.act === 'end') {
                answer(sent);
                sent.end();
              } else if (each.act === 'reset') sent.fail(RESET);
              else if (sent.answered) continue;
              else {
                left.add(sent);
                heldUntil = Math.max(heldUntil, wire.clock.now() + 1000);
                sent.answer(429, { 'retry-after': '1' });
                sent.end();
              }
            }
            const beside = wire.sent.filter(sent => !sent.over && of(sent).urgency.lane === 'background');
            if (waiting('demand') && beside.some(sent => !left.has(sent))) throw new Error('not broken off');
            await turn();
          }
          for (let rounds = 0; asked.some(({ state }) => state === 'waiting'); rounds++) {
            if (rounds > asked.length + 10) throw new Error('somebody waits for ever');
            wire.clock.pass(1000);
            await turn();
            for (const sent of onWire()) {
              answer(sent);
              sent.end();
            }
            await turn();
          }
          for (const sent of wire.sent) sent.answer().end();
          await turn();
          if (wrong.length > 0) throw new Error(wrong.join('; '));
          if (wire.clock.pending > 0) throw new Error('a timer is left');
          const before = wire.sent.length;
          wire.onSent = () => {};
          wire.clock.pass(1000);
          ask('background', false);
          await turn();
          if (wire.sent.length !== before + 1) throw new Error('a place was lost');
        },
      ),
    );
  },
);
