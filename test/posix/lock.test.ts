/** Locks of open files, within a process and between processes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { lock, lockInTheWay, tryLock, unlock } from '../../lib/posix.js';
import { linuxOnly } from './linux-only.js';

const POSIX = fileURLToPath(new URL('../../lib/posix.js', import.meta.url));

t.test('two open files of one process', linuxOnly, async t => {
  const file = path.join(t.testdir({ file: '' }), 'file');
  const [a, b, c] = [0, 1, 2].map(() => openSync(file, 'r+')) as [number, number, number];
  t.ok(tryLock(a, 'exclusive'));
  t.ok(tryLock(a, 'exclusive'), 'held already');
  t.notOk(tryLock(b, 'shared'));
  t.ok(tryLock(a, 'shared'), 'converted');
  t.ok(tryLock(b, 'shared'));
  t.notOk(tryLock(c, 'exclusive'));
  closeSync(c);
  t.notOk(tryLock(a, 'exclusive'), 'which a process lock would have lost to the close of c');
  unlock(b);
  t.ok(tryLock(a, 'exclusive'));

  const waiting = lock(b, 'exclusive');
  unlock(a);
  await waiting;
  t.notOk(tryLock(a, 'shared'));
  const controller = new AbortController();
  const aborted = lock(a, 'shared', { signal: controller.signal });
  const reason = new Error('enough');
  controller.abort(reason);
  await t.rejects(aborted, reason);
  await t.rejects(lock(a, 'shared', { signal: controller.signal }), reason);
  closeSync(b);
  await lock(a, 'exclusive');
  closeSync(a);
});

t.test('another process, which is killed', linuxOnly, async t => {
  const file = path.join(t.testdir({ file: '' }), 'file');
  const script = `
    import { openSync } from 'node:fs';
    import { tryLock } from ${JSON.stringify(POSIX)};
    console.log(tryLock(openSync(process.argv[1], 'r+'), 'exclusive'));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  t.equal(said.toString(), 'true\n');
  const fd = openSync(file, 'r+');
  t.notOk(tryLock(fd, 'shared'));
  child.kill('SIGKILL');
  await lock(fd, 'exclusive');
  closeSync(fd);
});

t.test('ranges of a file', linuxOnly, async t => {
  const file = path.join(t.testdir({ file: '' }), 'file');
  const [a, b] = [0, 1].map(() => openSync(file, 'r+')) as [number, number];
  const beyond = 2 ** 40;
  t.ok(tryLock(a, 'exclusive', { start: beyond, length: 10 }));
  t.ok(tryLock(b, 'exclusive', { start: beyond + 10, length: 5 }), 'beside each other');
  t.notOk(tryLock(b, 'exclusive', { start: beyond + 9, length: 1 }));
  t.notOk(tryLock(b, 'shared'), 'the whole file');
  t.same(lockInTheWay(b, 'exclusive', { start: beyond - 5, length: 10 }), { start: beyond, length: 10 });
  t.equal(lockInTheWay(b, 'exclusive', { start: 0, length: 10 }), undefined);
  t.equal(
    lockInTheWay(a, 'exclusive', { start: beyond, length: 10 }),
    undefined,
    'their own are in nobody’s way',
  );
  unlock(a, { start: beyond + 5, length: 5 });
  t.ok(tryLock(b, 'shared', { start: beyond + 5, length: 5 }), 'a part was given back');
  t.same(lockInTheWay(a, 'exclusive', { start: beyond, length: 0 }), { start: beyond + 5, length: 5 });
  t.throws(() => lockInTheWay(-1, 'shared', { start: 0, length: 1 }), { code: 'EBADF' });
  for (const range of [
    { start: -1, length: 1 },
    { start: Number.MAX_SAFE_INTEGER, length: 1 },
  ])
    t.throws(() => tryLock(a, 'shared', range), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  closeSync(a);
  closeSync(b);
});

t.test('what cannot be locked', linuxOnly, async t => {
  const file = path.join(t.testdir({ file: '' }), 'file');
  const fd = openSync(file, 'r');
  t.throws(() => tryLock(fd, 'exclusive'), { code: 'EBADF', syscall: 'fcntl' }, 'not open for writing');
  t.throws(() => tryLock(fd, 'both' as 'shared'), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  closeSync(fd);
  t.throws(() => tryLock(fd, 'shared'), { code: 'EBADF' });
  t.throws(() => unlock(fd), { code: 'EBADF' });
});
