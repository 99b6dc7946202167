/** What is remembered of an endpoint: failures that fade, times to the first byte that follow what is seen. */
import t from 'tap';
import { SociError } from '../../lib/errors.js';
import { subscribe } from '../../lib/observe/channels.js';
import { endpointsOf } from '../../lib/registry/endpoint.js';
import { EndpointHealth, failureKind } from '../../lib/registry/endpoint-health.js';
import { ErrorScore } from '../../lib/registry/error-score.js';
import { ReplyTimes } from '../../lib/registry/reply-times.js';
import { ServedRanges } from '../../lib/registry/served-ranges.js';
import fc from '../property.js';

const SECOND = 1000;

t.test('failures add up, and halve every half minute', t => {
  const score = new ErrorScore();
  t.equal(score.trust(0), 'sound');
  score.add(0.5, 0);
  t.equal(score.trust(0), 'sound', 'one says little');
  score.add(1.5, 0);
  t.equal(score.trust(29 * SECOND), 'resting');
  t.equal(score.trust(31 * SECOND), 'doubtful');
  score.succeeded(29 * SECOND);
  t.equal(score.trust(31 * SECOND), 'doubtful', 'what succeeds meanwhile was asked before');
  score.succeeded(31 * SECOND);
  t.equal(score.trust(31 * SECOND), 'sound');
  score.add(3, 31 * SECOND);
  t.equal(score.trust(80 * SECOND), 'resting', 'what is left of before counts');
  score.forgive();
  t.equal(score.trust(80 * SECOND), 'sound');
  score.restFor(60 * SECOND, 100 * SECOND);
  t.same(
    [score.trust(159 * SECOND), score.trust(161 * SECOND)],
    ['resting', 'doubtful'],
    'the server names a time',
  );
  t.end();
});

t.test('however much fails, it is asked again', t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.double({ min: 0, max: 100, noNaN: true }), fc.nat({ max: 60 * SECOND }))),
      fc.nat({ max: 1e9 }),
      (failures, wish) => {
        const score = new ErrorScore();
        let now = 0;
        for (const [weight, pause] of failures) {
          score.add(weight, now);
          now += pause;
        }
        score.restFor(wish, now);
        t.not(score.trust(now + 301 * SECOND), 'resting');
        score.succeeded(now + 301 * SECOND);
        return score.trust(now + 301 * SECOND) === 'sound';
      },
    ),
  );
  t.end();
});

t.test('the smoothed time', t => {
  const after = (...times: number[]): number | undefined => {
    const replies = new ReplyTimes();
    for (const ms of times) replies.add(ms);
    return replies.smoothed;
  };
  t.equal(after(300, 100, 100), undefined, 'too few');
  t.equal(after(300, 100, 102, 101), 100, 'the first ones wait for connections and tokens too');
  t.ok(after(20, 20, 20, 20, 20, 20, 4000, 20)! < 40, 'one that hangs is no slow host');
  t.ok(after(20, 20, 20, 20, ...Array.from({ length: 30 }, () => 400))! > 350, 'one that gets slow is');
  const stale = new ReplyTimes();
  for (let i = 0; i < 4; i++) stale.add(400);
  for (let i = 0; i < 5; i++) stale.add(20, 'old');
  t.ok(stale.smoothed! < 40, 'what is long ago counts for less');
  t.ok(after(400, 400, 400, 400, ...Array.from({ length: 30 }, () => 20))! < 40, 'and one that recovers');
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 4 }), times => {
      const smoothed = after(...times)!;
      return smoothed >= Math.max(0.25, Math.min(...times)) * 0.999 && smoothed <= Math.max(0.25, ...times);
    }),
  );
  t.end();
});

t.test('percentiles', t => {
  const STEP = 2 ** (1 / 4);
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1, max: 1e5, noNaN: true }), { minLength: 16, maxLength: 255 }),
      fc.double({ min: 1, max: 99.9, noNaN: true }),
      (times, percent) => {
        const replies = new ReplyTimes();
        for (const ms of times) replies.add(ms);
        const exact = [...times].sort((a, b) => a - b)[Math.ceil((percent / 100) * times.length) - 1]!;
        const found = replies.percentile(percent)!;
        return found >= exact * 0.999 && found <= exact * STEP * 1.001;
      },
    ),
  );
  const replies = new ReplyTimes();
  for (let i = 0; i < 15; i++) replies.add(10);
  t.equal(replies.percentile(95), undefined, 'too few to tell');
  for (let i = 0; i < 1000; i++) replies.add(10);
  for (let i = 0; i < 300; i++) replies.add(1000);
  t.ok(replies.percentile(50)! > 900, 'what was long ago is forgotten');
  t.end();
});

t.test('kinds of failures', t => {
  const error = (code: SociError['code'], temporary?: true): SociError =>
    new SociError(code, '', { data: { temporary } });
  t.equal(failureKind(error('ERR_SOCI_HTTP_NETWORK')), 'unreachable');
  t.equal(failureKind(error('ERR_SOCI_HTTP_TIMEOUT', true)), 'unreachable');
  t.equal(failureKind(error('ERR_SOCI_HTTP_STATUS', true)), 'failing');
  t.equal(failureKind(error('ERR_SOCI_SOURCE_SHORT', true)), 'failing');
  t.equal(failureKind(error('ERR_SOCI_HTTP_RANGE')), 'lying');
  t.equal(failureKind(error('ERR_SOCI_HTTP_STATUS')), 'lacking');
  t.equal(failureKind(error('ERR_SOCI_HTTP_NO_RANGES')), 'lacking');
  t.end();
});

t.test('an endpoint', async t => {
  let now = 0;
  const [mirror] = endpointsOf('registry.example', { mirrors: [{ url: 'https://mirror.example:444' }] });
  const health = new EndpointHealth(mirror!, () => now);
  const events: string[] = [];
  t.teardown(
    subscribe('seekable-oci:registry:endpoint', ({ registry, host, outcome, reason }) => {
      events.push(`${registry} ${host} ${outcome} ${reason}`);
    }),
  );
  t.same(health.standing(), { mirror: true, trust: 'sound', latency: undefined, unmeasured: true });

  t.test('is measured by the first bytes of demand', async t => {
    const silent = health.watch('no time');
    silent.leaves();
    now += 5000;
    silent.arrived();
    for (const wait of [90, 30, 31, 32]) {
      const watch = health.watch('time');
      watch.leaves();
      now += wait;
      watch.arrived();
      now += 1000;
      watch.arrived();
    }
    t.match(health.standing(), { latency: 30, unmeasured: false });
    now += 31_000;
    t.match(health.standing(), { latency: 30, unmeasured: true }, 'that was a while ago');
    const late = health.watch('time');
    late.leaves();
    now += 20;
    late.failed(new SociError('ERR_SOCI_HTTP_NETWORK', '', { data: { temporary: true } }));
    t.equal(health.standing().latency, 30, 'a refusal is no time');
    late.leaves();
    now += 60;
    late.failed(new SociError('ERR_SOCI_HTTP_TIMEOUT', '', { data: { temporary: true } }));
    t.ok(health.standing().latency! > 30, 'waiting in vain is');
  });

  t.test('is left while it fails, which is told once', async t => {
    t.same(events, []);
    const refused = new SociError('ERR_SOCI_HTTP_NETWORK', '', { data: { temporary: true } });
    for (let i = 0; i < 3; i++) health.failed(refused);
    t.ok(health.isAway);
    t.equal(health.standing().trust, 'resting');
    t.same(events.splice(0), ['registry.example mirror.example:444 left unreachable']);
    now += 150_000;
    t.notOk(health.isAway);
    t.equal(health.standing().trust, 'doubtful');
    health.succeeded();
    t.equal(health.standing().trust, 'sound');
    t.same(events.splice(0), ['registry.example mirror.example:444 returned working']);
    const busy = { data: { temporary: true, retryAfter: 90_000 } };
    health.failed(new SociError('ERR_SOCI_HTTP_STATUS', '', busy));
    now += 89_000;
    t.equal(health.standing().trust, 'resting', 'as long as it asked for');
    now += 2000;
    health.succeeded();
    events.length = 0;
    health.lied();
    t.same(events.splice(0), ['registry.example mirror.example:444 left lying']);
    health.forgive();
    t.equal(health.standing().trust, 'sound');
  });

  t.test('is probed by one at a time', async t => {
    now += 100_000;
    let probes = 0;
    let end = (_: 'measured' | 'failed'): void => {};
    const measure = (): Promise<'measured' | 'failed'> => {
      probes++;
      return new Promise(resolve => {
        end = resolve;
      });
    };
    const first = health.probe(measure);
    await health.probe(measure);
    t.equal(probes, 1);
    t.notOk(health.standing().unmeasured);
    end('failed');
    await first;
    t.notOk(health.standing().unmeasured, 'and not again at once when that fails');
    now += 31_000;
    t.ok(health.standing().unmeasured);
  });
});

t.test('who served a range last', t => {
  const served = new ServedRanges<string>();
  served.note(0, 100, 'a');
  served.note(50, 80, 'b');
  t.same(
    [served.lastOf(0, 50), served.lastOf(49, 51), served.lastOf(80, 90), served.lastOf(100, 200)],
    ['a', 'b', 'a', undefined],
  );
  for (let i = 0; i < 64; i++) served.note(200, 300, 'c');
  t.equal(served.lastOf(0, 10), undefined, 'of late only');
  t.end();
});
