/** Off Linux there is a typed error. */
import t from 'tap';
import { MappedRegion, openAt2, sdNotify, tryLock } from '../../lib/posix.js';

const elsewhere = process.platform === 'linux' ? { skip: 'this is Linux' } : {};

t.test('every call throws ENOSYS', elsewhere, async t => {
  for (const call of [
    () => openAt2('.', { flags: 0, resolve: 0 }),
    () => tryLock(0, 'shared'),
    () => sdNotify('READY=1', '/nowhere'),
    () => new MappedRegion(0, 0, 1),
  ]) {
    t.throws(call, { name: 'SociError', code: 'ENOSYS' });
  }
});
