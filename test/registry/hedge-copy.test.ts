/** What a second request has brought is the reader's once the first has ended, and not before. */
import t from 'tap';
import { HedgeCopy } from '../../lib/registry/hedge-copy.js';
import fc from '../property.js';

t.test('nothing is handed over before the first has ended, and then all in its order', t => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.array(fc.nat({ max: 20 })),
      fc.nat({ max: 10 }),
      (bytes, pieces, endsBefore) => {
        const target = new Uint8Array(bytes.length).fill(0xaa);
        const told: number[] = [];
        const onBytes = (arrived: Uint8Array): void => {
          if (Buffer.compare(arrived, bytes.subarray(0, arrived.length)) !== 0) throw new Error('not final');
          told.push(arrived.length);
        };
        const copy = new HedgeCopy({ target, offset: 0, options: { onBytes } });
        let arrived = 0;
        for (const [i, piece] of [...pieces, bytes.length].entries()) {
          if (i === endsBefore) copy.free();
          const end = Math.min(bytes.length, arrived + piece);
          copy.memory.set(bytes.subarray(arrived, end), arrived);
          arrived = end;
          copy.arrived(arrived);
          if (i < endsBefore && (told.length > 0 || target.some(byte => byte !== 0xaa))) return false;
        }
        copy.free();
        const isAscending = told.every((length, i) => i === 0 || length > told[i - 1]!);
        return isAscending && told.at(-1) === bytes.length && Buffer.compare(target, bytes) === 0;
      },
    ),
  );
  t.end();
});
