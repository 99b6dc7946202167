/** Paths that may not leave their directory, whatever links are on them. */
import { closeSync, constants, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { openAt2, RESOLVE } from '../../lib/posix.js';
import { linuxOnly } from './linux-only.js';

t.test('a path stays where it is told to', linuxOnly, async t => {
  const root = t.testdir({ etc: { passwd: 'inside' }, outside: 'outside', inner: {} });
  symlinkSync('/etc/passwd', path.join(root, 'inner', 'absolute'));
  symlinkSync('../outside', path.join(root, 'inner', 'up'));
  symlinkSync('loop', path.join(root, 'inner', 'loop'));
  const directory = openSync(path.join(root, 'inner'), constants.O_RDONLY);
  const top = openSync(root, constants.O_RDONLY);
  const flags = constants.O_RDONLY;
  const contents = (fd: number) => {
    const text = readFileSync(fd, 'utf8');
    closeSync(fd);
    return text;
  };
  t.equal(contents(openAt2('up', { directory, flags, resolve: 0 })), 'outside');
  t.throws(() => openAt2('up', { directory, flags, resolve: RESOLVE.BENEATH }), {
    name: 'SociError',
    code: 'EXDEV',
    syscall: 'openat2',
    path: 'up',
    errno: -18,
  });
  t.throws(() => openAt2('absolute', { directory, flags, resolve: RESOLVE.BENEATH }), { code: 'EXDEV' });
  t.throws(() => openAt2('up', { directory, flags, resolve: RESOLVE.NO_SYMLINKS }), { code: 'ELOOP' });
  t.throws(() => openAt2('loop', { directory, flags, resolve: 0 }), { code: 'ELOOP' });
  const inRoot = { directory: top, flags, resolve: RESOLVE.IN_ROOT };
  t.equal(contents(openAt2('inner/absolute', inRoot)), 'inside', 'links begin at the directory');
  t.equal(contents(openAt2('/../outside', inRoot)), 'outside', '.. ends there');
  closeSync(directory);
  closeSync(top);
});

t.test('creates files, and refuses what open refuses', linuxOnly, async t => {
  const root = t.testdir({ there: '' });
  const directory = openSync(root, constants.O_RDONLY);
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
  const fd = openAt2('new', { directory, flags, mode: 0o600, resolve: RESOLVE.BENEATH });
  writeFileSync(fd, 'written');
  closeSync(fd);
  t.equal(readFileSync(path.join(root, 'new'), 'utf8'), 'written');
  const options = { directory, flags, mode: 0o600, resolve: 0 };
  t.throws(() => openAt2('there', options), { code: 'EEXIST' });
  t.throws(() => openAt2('none/new', options), { code: 'ENOENT' });
  t.throws(() => openAt2('there/new', options), { code: 'ENOTDIR' });
  t.throws(() => openAt2('new\0', options), { code: 'EINVAL' });
  t.throws(() => openAt2('there', { ...options, resolve: 2 ** 40 }), { code: 'EINVAL' });
  closeSync(directory);
  t.throws(() => openAt2('there', options), { code: 'EBADF' });
});
