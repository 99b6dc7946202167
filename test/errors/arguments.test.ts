/** What callers give wrong is refused in one form of words, and what may be secret is not repeated. */

import t from 'tap';
import { checkChoice, checkInteger, checkOptions, nearest } from '../../lib/arguments.js';
import { invalidArgument, invalidText, invalidValues } from '../../lib/errors.js';
import fc from '../property.js';

const code = 'ERR_SOCI_INVALID_ARGUMENT';

t.test('one form: expected … for NAME, received …', async t => {
  const cases: readonly (readonly [received: unknown, shown: string])[] = [
    [1.5, '1.5'],
    [Number.NaN, 'NaN'],
    [12n, '12'],
    [false, 'false'],
    [null, 'null'],
    [undefined, 'undefined'],
    ['https://user:secret@host/', 'string'],
    [Symbol('secret'), 'symbol'],
    [() => 'secret', 'function'],
    [{ secret: 1 }, 'Object'],
    [Object.create(null), 'object'],
    [new Uint8Array(3), 'Uint8Array'],
    [['secret'], 'Array'],
  ];
  for (const [received, shown] of cases) {
    const error = invalidArgument('size', 'a number of bytes', received);
    t.equal(error.message, `expected a number of bytes for size, received ${shown}`);
    t.match(error, { code, data: { name: 'size', expected: 'a number of bytes', received: shown } });
  }
  t.equal(
    invalidText('policy', "'a' or 'b'", 'a\n"c"').message,
    `expected 'a' or 'b' for policy, received "a\\n\\"c\\""`,
  );
  t.ok(invalidText('policy', 'less', 'x'.repeat(10_000)).message.length < 200, 'long texts are clipped');
  const range = invalidValues('range', '0 <= start <= end', { start: 5, end: 3 });
  t.equal(range.message, 'expected 0 <= start <= end for range, received start 5, end 3');
  t.match(range, { code, data: { start: 5, end: 3 } });
});

t.test('integers and choices', async t => {
  for (const value of [1, 2, Number.MAX_SAFE_INTEGER]) checkInteger('n', value, 1);
  for (const value of [0, -1, 1.5, 2 ** 53, Number.NaN, '1', 1n, undefined, null]) {
    t.throws(() => checkInteger('n', value, 1), {
      code,
      message: /^expected an integer of at least 1 for n, /,
    });
  }
  checkInteger('ms', 10, 1, 10);
  t.throws(() => checkInteger('ms', 11, 1, 10), {
    message: 'expected an integer of 1 to 10 for ms, received 11',
  });
  checkChoice('policy', 'a', ['a', 'b', 'c']);
  const expected = "expected 'a', 'b' or 'c' for policy, received ";
  t.throws(() => checkChoice('policy', 'd', ['a', 'b', 'c']), { code, message: `${expected}"d"` });
  t.throws(() => checkChoice('policy', 1, ['a', 'b', 'c']), { code, message: `${expected}1` });
  t.throws(() => checkChoice('policy', 'd', ['a']), { message: 'expected \'a\' for policy, received "d"' });
});

t.test('options with unknown names are refused, whatever their value', async t => {
  interface Options {
    readonly cache?: object | undefined;
    readonly missingZtoc?: string;
  }
  const known = { cache: true, missingZtoc: true } as const;
  const check = (given: unknown) => checkOptions<Options>('open', given as Options, known);
  check({});
  check({ cache: {}, missingZtoc: 'build' });
  check({ cache: undefined });
  check(Object.create(null));
  const expected = 'expected names that it knows for the options of open, received ';
  t.throws(() => check({ cahce: 1 }), { code, message: `${expected}"cahce": did you mean 'cache'?` });
  t.throws(() => check({ missingZToc: 1 }), { message: /did you mean 'missingZtoc'\?$/ });
  t.throws(() => check({ unlike: undefined }), {
    message: `${expected}"unlike": there are cache, missingZtoc`,
  });
  t.throws(() => check({ toString: 1 }), { code, message: /"toString"/ });
  t.throws(() => check(JSON.parse('{"__proto__": 1}')), { code, message: /"__proto__"/ });
  for (const given of [null, 'utf8', 1]) {
    t.throws(() => check(given), { code, message: /^expected an object for the options of open, received / });
  }
});

t.test('a word is recognised a slip or two away, and not further', async t => {
  const words = ['cache', 'cacheDirectory', 'signal', 'platform', 'ca'];
  const cases: readonly (readonly [word: string, meant: string | undefined])[] = [
    ['cahce', 'cache'],
    ['cach', 'cache'],
    ['ccache', 'cache'],
    ['CACHEDIRECTORY', 'cacheDirectory'],
    ['cache-directory', 'cacheDirectory'],
    ['sginal', 'signal'],
    ['plattform', 'platform'],
    ['cb', 'ca'],
    ['timeout', undefined],
    ['xyz', undefined],
    ['', undefined],
    ['c'.repeat(1e6), undefined],
  ];
  for (const [word, meant] of cases) t.equal(nearest(word, words), meant, word.slice(0, 20));
  const word = fc.stringMatching(/^[a-z]{4,20}$/);
  fc.assert(
    fc.property(word, fc.nat(), (word, at) => {
      const place = at % word.length;
      const slip = word.slice(0, place) + word.slice(place + 1);
      return nearest(word, [word]) === word && nearest(slip, [word]) === word;
    }),
  );
});
