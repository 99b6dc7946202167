/** The schema that docs/load-order.md publishes takes what the library writes, and refuses what a schema can. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { encodeLoadOrder, parseLoadOrder } from '../../lib/soci/load-order.js';
import { blocksOf } from './pages.js';

const [example, schema] = blocksOf('docs/load-order.md')
  .filter(({ language }) => language === 'json')
  .map(({ text }) => JSON.parse(text));
const validate = new Ajv2020({ strict: true }).compile(schema);

t.test('the example is a load order', async t => {
  t.ok(validate(example), JSON.stringify(validate.errors));
  const order = parseLoadOrder(Buffer.from(JSON.stringify(example)), 'the example');
  const written = JSON.parse(Buffer.from(encodeLoadOrder(order)).toString());
  t.strictSame(written, example);
  t.ok(validate({ ...example, loads: [], runs: 0 }));
});

t.test('schema and reader refuse the same, one member at a time', async t => {
  const [load] = example.loads;
  const paths = [
    '',
    '/',
    'a',
    '/a/',
    '//a',
    '/a//b',
    '/.',
    '/..',
    '/a/.',
    '/a/../b',
    '/a\0',
    '/a'.repeat(2049),
  ];
  const loads = [
    ...paths.map(path => ({ path })),
    ...[{ size: 0 }, { size: 1.5 }, { size: '1' }, { start: 0 }, { end: 1 }, { urgency: -1 }, { urgency: 8 }],
    ...[
      { runs: 0 },
      { ms: -1 },
      { ms: undefined },
      { runs: undefined },
      { urgency: undefined },
      { other: 1 },
    ],
  ];
  const documents = [
    ...loads.map(changes => ({ ...example, loads: [{ ...load, ...changes }] })),
    ...[
      { version: '2.0' },
      { image: 'x' },
      { workload: '' },
      { workload: '-a' },
      { runs: -1 },
      { loads: {} },
    ].map(changes => ({ ...example, ...changes })),
    ...['version', 'image', 'workload', 'runs', 'loads'].map(member => ({ ...example, [member]: undefined })),
    { ...example, other: 1 },
  ];
  for (const document of documents) {
    const json = JSON.stringify(document);
    t.notOk(validate(JSON.parse(json)), json);
    t.throws(() => parseLoadOrder(Buffer.from(json), 'x'), { code: 'ERR_SOCI_LOAD_ORDER_FORMAT' }, json);
  }
});

t.test('names that only look odd are taken by both', async t => {
  for (const path of ['/...', '/.a', '/a..b/.c', '/..a', '/a b/\u{1f980}', '/\n']) {
    const document = { ...example, loads: [{ ...example.loads[0], path }] };
    t.ok(validate(document), path);
    t.equal(parseLoadOrder(Buffer.from(JSON.stringify(document)), 'x').loads[0]?.path, path);
  }
});
