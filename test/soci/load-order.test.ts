/** Load orders as documents: canonical bytes, and what of hostile ones is refused, each by name. */
import t from 'tap';
import { sha256Digest } from '../../lib/registry/digest.js';
import {
  encodeLoadOrder,
  type Load,
  type LoadOrder,
  MAX_LOADS,
  parseLoadOrder,
} from '../../lib/soci/load-order.js';
import fc from '../property.js';

const IMAGE = sha256Digest(Buffer.from('an image manifest'));
const whole = { path: '/bin/tool', size: 5000, start: 0, end: 5000, urgency: 1, runs: 3, ms: 4 };
const part = { path: '/lib/big', size: 90_000, start: 4096, end: 8192, urgency: 3, runs: 2, ms: 9 };
const ORDER: LoadOrder = { image: IMAGE, workload: 'start', runs: 3, loads: [whole, part] };

const text = (order: LoadOrder): string => Buffer.from(encodeLoadOrder(order)).toString();
const document = (changes: object = {}): string => JSON.stringify({ ...JSON.parse(text(ORDER)), ...changes });
const parse = (json: string): LoadOrder => parseLoadOrder(Buffer.from(json), 'the document');

t.test('a document has one form: whole files without a range, members in order, no space', async t => {
  t.equal(
    text(ORDER),
    `{"version":"1.0","image":"${IMAGE}","workload":"start","runs":3,"loads":[` +
      '{"path":"/bin/tool","size":5000,"urgency":1,"runs":3,"ms":4},' +
      '{"path":"/lib/big","size":90000,"start":4096,"end":8192,"urgency":3,"runs":2,"ms":9}]}',
  );
  const spaced = JSON.stringify(JSON.parse(text(ORDER)), undefined, 2);
  t.strictSame(parse(spaced), ORDER, 'others are read too');
  const derived = { ...ORDER, runs: 0, loads: [{ path: '/a', size: 1, start: 0, end: 1, urgency: 0 }] };
  t.strictSame(parse(text(derived)), derived);
  t.strictSame(parse(text({ ...ORDER, loads: [] })), { ...ORDER, loads: [] });
});

t.test('what is written is read again, whatever the paths are', async t => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    .filter(each => !/[/\0]/.test(each) && each !== '.' && each !== '..' && !/\p{Surrogate}/u.test(each));
  const load = fc.record({
    names: fc.array(name, { minLength: 1, maxLength: 4 }),
    size: fc.integer({ min: 2, max: Number.MAX_SAFE_INTEGER }),
    cut: fc.double({ min: 0, max: 1, noNaN: true }),
    urgency: fc.integer({ min: 0, max: 7 }),
    ms: fc.maxSafeNat(),
  });
  const orders = fc.uniqueArray(load, { selector: ({ names }) => names.join('/') }).map((all): LoadOrder => {
    const loads = all.map(({ names, size, cut, urgency, ms }): Load => {
      const start = Math.floor(cut * (size - 1));
      return { path: `/${names.join('/')}`, size, start, end: size, urgency, runs: 1, ms };
    });
    return { image: IMAGE, workload: 'x', runs: 1, loads: loads.sort((a, b) => a.urgency - b.urgency) };
  });
  fc.assert(
    fc.property(orders, order => t.strictSame(parse(text(order)), order)),
    { numRuns: 200 },
  );
});

t.test('malformed documents are refused with their place', async t => {
  const load = (changes: object, runs = 3): string =>
    document({
      runs,
      loads: [{ path: '/a', size: 9, start: 2, end: 4, urgency: 3, runs: 1, ms: 0, ...changes }],
    });
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /no JSON/],
    ['{"version":"1.0"', /no JSON/],
    ['null', /the document: expected an object, found null/],
    ['[]', /the document: expected an object/],
    [document({ version: '1.1' }), /version: expected "1\.0", found "1\.1"/],
    [document({ version: 1 }), /version/],
    [document({ extra: 1 }), /extra: expected no such member/],
    ['{"version":"1.0","__proto__":{"loads":[]}}', /__proto__/],
    [document({ image: 'latest' }), /image: expected the digest/],
    [document({ workload: '' }), /workload: expected a name/],
    [document({ workload: 'a b' }), /workload/],
    [document({ workload: '../x' }), /workload/],
    [document({ workload: 'a'.repeat(129) }), /workload/],
    [document({ runs: -1 }), /runs: expected an integer/],
    [document({ runs: 1e7 }), /runs/],
    [document({ loads: {} }), /loads: expected an array/],
    [document({ loads: [null] }), /loads\[0\]: expected an object/],
    [load({ path: 'a' }), /loads\[0\]\.path/],
    [load({ path: '/' }), /path/],
    [load({ path: '/a/' }), /path/],
    [load({ path: '/a//b' }), /path/],
    [load({ path: '/a/../b' }), /path/],
    [load({ path: '/./b' }), /path/],
    [load({ path: '/a\0' }), /path/],
    [load({ path: `/${'é'.repeat(2048)}` }), /path/],
    [`${load({}).replace('"/a"', '"/\\ud800"')}`, /path/],
    [load({ path: 7 }), /path/],
    [load({ size: 0 }), /size: expected an integer from 1 on, found 0/],
    [load({ size: 3 }), /end: expected an integer of 3 to 3, found 4/],
    [load({ end: 10 }), /end: expected an integer of 3 to 9, found 10/],
    [load({ end: 2 }), /end/],
    [load({ start: 9, end: 9 }), /start: expected an integer of 0 to 8/],
    [load({ start: -1 }), /start/],
    [load({ start: 0.5 }), /start/],
    [load({ end: 1e300 }), /end/],
    [load({ start: undefined }), /start and end, or neither/],
    [load({ end: undefined }), /start and end, or neither/],
    [load({ start: null, end: null }), /start/],
    [load({ urgency: 8 }), /urgency: expected an integer of 0 to 7/],
    [load({ urgency: '1' }), /urgency/],
    [load({ runs: 4 }), /runs: expected an integer of 1 to 3/],
    [load({ runs: 0 }), /runs/],
    [load({ runs: undefined }), /runs/],
    [load({ ms: -1 }), /ms/],
    [load({ ms: 1.5 }), /ms/],
    [load({}, 0), /neither runs nor ms/],
    [load({ priority: 1 }), /loads\[0\]\.priority/],
    [document({ loads: [part, whole] }), /loads\[1\]\.urgency: expected at least 3/],
    [
      document({ loads: [part, { ...part, start: 8191, end: 9000 }] }),
      /\/lib\/big: expected no range before byte 8192/,
    ],
    [document({ loads: [part, part] }), /\/lib\/big/],
    [
      document({ loads: [part, { ...part, size: 90_001, start: 8192, end: 9000 }] }),
      /a size of 90000 everywhere/,
    ],
  ];
  for (const [json, message] of cases) {
    t.throws(() => parse(json), { code: 'ERR_SOCI_LOAD_ORDER_FORMAT', message }, json.slice(0, 200));
  }
  t.throws(() => parseLoadOrder(Buffer.from([0x7b, 0xff, 0x7d]), 'x'), {
    code: 'ERR_SOCI_LOAD_ORDER_FORMAT',
  });
  t.throws(
    () => text({ ...ORDER, loads: [part, whole] }),
    { code: 'ERR_SOCI_LOAD_ORDER_FORMAT' },
    'nor written',
  );
});

t.test('sizes and counts have limits, known before anything is made of the bytes', async t => {
  t.throws(() => parseLoadOrder(Buffer.alloc(16 * 2 ** 20 + 1, ' '), 'x'), { code: 'ERR_SOCI_LIMIT' });
  const many = `[${'0,'.repeat(MAX_LOADS)}0]`;
  t.throws(() => parse(document().replace(/\[.*\]/, many)), {
    code: 'ERR_SOCI_LIMIT',
    message: /100001 loads/,
  });
  const loads = Array.from({ length: MAX_LOADS + 1 }, (_, at) => ({ ...part, path: `/${at}` }));
  t.throws(() => text({ ...ORDER, loads }), { code: 'ERR_SOCI_LIMIT' });
  t.throws(() => parse('['.repeat(1_000_000)), { code: 'ERR_SOCI_LOAD_ORDER_FORMAT' });
});

t.test('any bytes are a load order, or refused with a code', async t => {
  const mutations = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 });
  const bytes = Buffer.from(document());
  fc.assert(
    fc.property(mutations, changes => {
      const forged = Buffer.from(bytes);
      for (const [at, value] of changes) forged[at % forged.length] = value;
      try {
        encodeLoadOrder(parseLoadOrder(forged, 'x'));
      } catch (error) {
        t.match(error, { code: /^ERR_SOCI_LOAD_ORDER_FORMAT$/ });
      }
    }),
    { numRuns: 500 },
  );
});
