/** Which bytes are there, whatever order they come in. */
import t from 'tap';
import { ArrivedBytes } from '../../lib/source/arrived-bytes.js';
import { requestPieces } from '../../lib/source/request-pieces.js';
import fc from '../property.js';

t.test('any parts in any order', async t => {
  const part = fc.tuple(fc.nat(40), fc.nat(40)).map(([start, length]) => [start, start + length] as const);
  fc.assert(
    fc.property(fc.array(part, { maxLength: 20 }), parts => {
      const arrived = new ArrivedBytes();
      const there = new Array<boolean>(100).fill(false);
      for (const [start, end] of parts) {
        arrived.add(start, end);
        there.fill(true, start, end);
        for (let from = 0; from < 90; from++) {
          const missing = there.indexOf(false, from);
          if (arrived.endFrom(from) !== missing) return false;
        }
      }
      return true;
    }),
  );
  t.pass('held for all');
});

t.test('requests are divided at boundaries and nowhere else', async t => {
  t.same(requestPieces(0, 0), []);
  t.same(requestPieces(5, 6), [{ start: 5, end: 6 }]);
  const boundary = 8 * 1024 * 1024;
  t.same(requestPieces(boundary - 1, 2 * boundary + 1), [
    { start: boundary - 1, end: boundary },
    { start: boundary, end: 2 * boundary },
    { start: 2 * boundary, end: 2 * boundary + 1 },
  ]);
  t.same(requestPieces(3, 9, 4), [
    { start: 3, end: 4 },
    { start: 4, end: 8 },
    { start: 8, end: 9 },
  ]);
});
