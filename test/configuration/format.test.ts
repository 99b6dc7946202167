/** What is written is read into the same, and nothing but a file that can be read is ever written or read. */
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'smol-toml';
import t from 'tap';
import {
  type Configuration,
  defaultConfiguration,
  parseConfiguration,
} from '../../lib/configuration/configuration.js';
import { formatConfiguration } from '../../lib/configuration/configuration-format.js';
import { Key, type KeyTable, NamedTables, TableList } from '../../lib/configuration/key.js';
import { KEYS } from '../../lib/configuration/key-table.js';
import { SociError } from '../../lib/errors.js';
import fc from '../property.js';

const valuesOf = ({ warnings: _, ...values }: Configuration): unknown => values;

const WORDS = fc.string({ unit: 'binary', maxLength: 12 });
const NAMES = fc.oneof(fc.constantFrom('gzip', '__proto__', 'docker.io', 'constructor', ''), WORDS);

/** Values that a key may have, as TOML has them. */
function arbitraryValue({ form }: Key<unknown>, name: string): fc.Arbitrary<unknown> {
  if (form.type === 'boolean') return fc.boolean();
  // Totals are not less than what they are the totals of.
  if (/^max_concurrent_[a-z]+$/.test(name)) return fc.constantFrom(-1n, 0n, 1000n);
  if (form.type === 'integer') return fc.bigInt(0n, 999n);
  if (form.type === 'array of strings') return fc.array(WORDS, { maxLength: 3 });
  if (form.type === 'string, a size') {
    const number = fc.oneof(
      fc.nat(1000).map(String),
      fc.tuple(fc.nat(999), fc.nat(999)).map(parts => parts.join('.')),
    );
    return fc.tuple(number, fc.constantFrom('', ' ', 'b', 'KB', ' mb', 'gb ')).map(parts => parts.join(''));
  }
  if (form.type !== 'string')
    return fc.constantFrom(...form.type.split(', ').map(each => JSON.parse(each) as string));
  if (name === 'host') return fc.constantFrom('https://mirror', 'http://[::1]:5000/v2', 'localhost:5000');
  return WORDS.filter(text => !text.startsWith('unix://'));
}

/** Some of the keys of a table; those that it cannot be without always. */
function arbitraryTable(table: KeyTable): fc.Arbitrary<Record<string, unknown>> {
  const model: Record<string, fc.Arbitrary<unknown>> = {};
  const required: string[] = [];
  for (const [name, entry] of Object.entries(table)) {
    if (entry instanceof Key) {
      model[name] = arbitraryValue(entry, name);
      if (entry.form.required) required.push(name);
    } else if (entry instanceof NamedTables) {
      model[name] = fc.dictionary(NAMES, arbitraryTable(entry.rows), { maxKeys: 3, noNullPrototype: false });
    } else if (entry instanceof TableList)
      model[name] = fc.array(arbitraryTable(entry.rows), { maxLength: 3 });
    else model[name] = arbitraryTable(entry);
  }
  return fc.record(model, { requiredKeys: required });
}

t.test('the defaults', async t => {
  const text = await formatConfiguration(defaultConfiguration());
  t.strictSame(await parseConfiguration(text), { ...defaultConfiguration(), warnings: [] });
  t.match(text, /^\[http\]\nDialTimeoutMsec = 3000$/m);
  t.match(text, /^concurrent_download_chunk_size = ""$/m);
  t.notMatch(text, /as_fallback/, 'what is absent stays so');
});

t.test('the spelling of the reference is written', async t => {
  const text = '[pull_modes.parallel_pull_unpack]\nparallel_pull_as_fallback = false';
  t.match(
    await formatConfiguration(await parseConfiguration(text)),
    /^experimental_parallel_pull_as_fallback = false$/m,
  );
});

t.test('what is written is read into the same values', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryTable(KEYS), async document => {
      const configuration = await parseConfiguration(stringify(document));
      const again = await parseConfiguration(await formatConfiguration(configuration));
      return isDeepStrictEqual(valuesOf(again), valuesOf(configuration));
    }),
    { numRuns: 100 },
  );
});

t.test('what no file can say is not written', async t => {
  const configuration = defaultConfiguration();
  const refused = async (
    changes: object,
    expected: { code: string; message?: string | RegExp },
  ): Promise<void> => {
    await t.rejects(formatConfiguration({ ...configuration, ...changes }), expected, JSON.stringify(changes));
  };
  const wrong = { code: 'ERR_SOCI_CONFIGURATION' };
  const argument = { code: 'ERR_SOCI_INVALID_ARGUMENT' };
  await refused(
    { debug: 'yes' },
    { ...wrong, message: 'the configuration: debug: expected true or false, found "yes"' },
  );
  await refused({ maxConcurrency: 1.5 }, wrong);
  await refused({ maxConcurrency: Number.NaN }, wrong);
  await refused({ mountTimeoutSec: -1 }, wrong);
  await refused({ debug: () => true }, wrong);
  await refused({ fuse: null }, argument);
  await refused(
    { fuse: { attrTimout: 1 } },
    { ...argument, message: /the configuration\.fuse, received "attrTimout"/ },
  );
  await refused({ unknown: 1 }, argument);
  await refused({ resolver: { ...configuration.resolver, host: { '\ud800': { mirrors: [] } } } }, argument);
  await refused({ resolver: { ...configuration.resolver, host: { a: { mirrors: {} } } } }, argument);
  await t.rejects(formatConfiguration(null as never), argument);
});

t.test('whatever a file says, it is read or refused', async () => {
  const names = (table: KeyTable): string[] =>
    Object.entries(table).flatMap(([name, entry]) =>
      entry instanceof Key
        ? [name]
        : [name, ...names((entry as { rows?: KeyTable }).rows ?? (entry as KeyTable))],
    );
  const token = fc.oneof(
    fc.constantFrom(...names(KEYS), '__proto__', 'constructor', '"docker.io"', '"\\u0000"'),
    fc.constantFrom('[', ']', '[[', ']]', '{', '}', '.', ',', ' = ', '\n', '\r\n', '"', "'", '"""', '#', ' '),
    fc.constantFrom(
      'true',
      '0',
      '-1',
      '1e400',
      'nan',
      '-inf',
      '9'.repeat(400),
      '0xffffffffffffffffff',
      '1_000',
    ),
    fc.constantFrom('1979-05-27T07:32:00Z', '07:32:00', '0000-00-00', '""', '"8mb"', '[1, [2]]', '{a = 1}'),
    fc.string({ unit: 'binary', maxLength: 4 }),
    fc.string({ maxLength: 4 }),
  );
  const line = fc.oneof(
    fc.tuple(token, fc.constant(' = '), token).map(parts => parts.join('')),
    fc.array(token, { maxLength: 6 }).map(parts => `[${parts.join('.')}]`),
    fc.array(token, { maxLength: 12 }).map(parts => parts.join('')),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 12 }), async lines => {
      try {
        await formatConfiguration(await parseConfiguration(lines.join('\n')));
      } catch (error) {
        if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_CONFIGURATION') throw error;
      }
    }),
    { numRuns: 500 },
  );
});

t.test('what is deep, long or huge is read or refused in bounds', async t => {
  const most = 256 * 1024;
  const fill = (unit: string, before = '', after = ''): string =>
    before + unit.repeat(Math.floor((most - before.length - after.length) / unit.length)) + after;
  const texts = [
    fill('[', 'x = '),
    fill('{a=', 'x = '),
    fill('a.', '', 'a = 1'),
    fill('a.', '[', 'a]'),
    fill('[[a]]\n'),
    fill('1,', 'x = [', ']'),
    fill('9', 'max_concurrency = '),
    fill('f', 'max_concurrency = 0x'),
    fill('9', 'x = 0.'),
    fill('"",', 'pull_modes.parallel_pull_unpack.decompress_streams.gzip = { path = "/x", args = [', '] }'),
    fill('{host="m"},', '[resolver.host.x]\nmirrors = [', ']'),
    fill('#'),
    fill('\n'),
    fill('"'),
    fill('x', '"', '" = 1'),
    fill(' ', '[pull_modes.parallel_pull_unpack]\nconcurrent_download_chunk_size = "1', 'x"'),
    `${fill('#')}#`,
    'x = "\ud800"',
    '\0',
  ];
  for (const text of texts) {
    try {
      t.ok(await formatConfiguration(await parseConfiguration(text)));
    } catch (error) {
      t.match(error, { code: 'ERR_SOCI_CONFIGURATION' }, text.slice(0, 40));
      t.ok((error as Error).message.length < 500);
    }
  }
});
