/** Times read out of bytes are those that the parser of their text finds. */

import t from 'tap';
import { ByteView } from '../../lib/tar/byte-view.js';
import { formatTime, parseTime } from '../../lib/tar/time.js';
import { UtcSeconds } from '../../lib/tar/utc-seconds.js';
import fc from '../property.js';

function viewOf(text: string): ByteView {
  const view = new ByteView();
  view.set(Buffer.from(`xx${text}xx`, 'latin1'), 2, 2 + text.length);
  return view;
}

t.test('whole seconds in UTC, damaged or not, with days that come again', async () => {
  const seconds = fc.integer({ min: -62_167_219_200, max: 253_402_300_799 });
  const damage = fc.tuple(fc.nat(19), fc.constantFrom(...'0123456789-:TZ. '));
  const time = fc.tuple(seconds, fc.nat(172_800), fc.array(damage, { maxLength: 2 }));
  await fc.assert(
    fc.property(fc.array(time, { minLength: 1, maxLength: 5 }), times => {
      const utc = new UtcSeconds();
      return times.every(([first, later, damages]) =>
        [first, Math.min(first + later, 253_402_300_799), first].every(at => {
          const text = [...formatTime(at, 0)];
          for (const [place, char] of damages) text[place] = char;
          return utc.of(viewOf(text.join(''))) === parseTime(text.join(''))?.seconds;
        }),
      );
    }),
    { numRuns: 1000 },
  );
});

t.test('other forms are left to the parser', async t => {
  const utc = new UtcSeconds();
  const forms = [
    '',
    '2024-02-29T12:34:56.5Z',
    '2024-02-29T12:34:56+00:00',
    '2024-02-29T12:34:56',
    '2024-02-29',
  ];
  for (const text of forms) t.equal(utc.of(viewOf(text)), undefined, text);
  t.equal(utc.of(viewOf('2023-02-29T00:00:00Z')), undefined, 'no such day');
  t.equal(utc.of(viewOf('2024-02-29T00:00:00Z')), 1_709_164_800);
});
