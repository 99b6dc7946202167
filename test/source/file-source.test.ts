/**
 * FileSource on files that are not what they should be, or that change under it.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, renameSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FileSource } from '../../lib/source/file-source.js';

const BYTES = randomBytes(3_000_000);

t.test('what is no regular file is refused', async t => {
  const folder = t.testdir();
  await t.rejects(FileSource.open(join(folder, 'missing')), {
    code: 'ERR_SOCI_SOURCE_IO',
    message: /ENOENT/,
    data: { reason: 'ENOENT', syscall: 'open' },
  });
  await t.rejects(FileSource.open(folder), { code: 'ERR_SOCI_SOURCE_IO' });
  await t.rejects(FileSource.open('/dev/zero'), {
    code: 'ERR_SOCI_SOURCE_IO',
    message: /not a regular file/,
  });
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  await t.rejects(FileSource.open(join(folder, 'fifo')), { code: 'ERR_SOCI_SOURCE_IO' }, 'without waiting');
  const reason = new Error('stop');
  await t.rejects(FileSource.open(join(folder, 'missing'), { signal: AbortSignal.abort(reason) }), reason);
});

t.test('a file that changes in place is noticed', async t => {
  const changes: [string, (path: string) => void, RegExp][] = [
    ['grows', path => appendFileSync(path, 'x'), /it had 3000000 bytes, now 3000001/],
    ['shrinks', path => truncateSync(path, 10), /it had 3000000 bytes, now 10/],
    [
      'is rewritten',
      path => {
        writeFileSync(path, randomBytes(BYTES.length));
        utimesSync(path, 1, 1);
      },
      /modification time/,
    ],
  ];
  for (const [name, change, message] of changes) {
    await t.test(name, async t => {
      const path = join(t.testdir(), 'layer');
      writeFileSync(path, BYTES);
      const source = await FileSource.open(path);
      t.teardown(() => source.close());
      const chunks = source.stream();
      await chunks.next();
      change(path);
      const expected = { code: 'ERR_SOCI_SOURCE_CHANGED', message };
      await t.rejects(source.read(0, 100), expected);
      await t.rejects(source.read(2_900_000, 1000), expected);
      await t.rejects(chunks.next(), expected);
    });
  }
});

t.test('a file that is replaced stays readable as it was', async t => {
  const path = join(t.testdir(), 'layer');
  writeFileSync(path, BYTES);
  const source = await FileSource.open(path);
  t.teardown(() => source.close());
  writeFileSync(`${path}.new`, 'something else');
  renameSync(`${path}.new`, path);
  t.equal(Buffer.compare(await source.read(0, BYTES.length), BYTES), 0);
});

t.test('beyond 4 GiB', async t => {
  const path = join(t.testdir(), 'sparse');
  const size = 5 * 2 ** 30;
  writeFileSync(path, '');
  truncateSync(path, size);
  const source = await FileSource.open(path);
  t.teardown(() => source.close());
  t.equal(source.size, size);
  t.equal((await source.read(size - 3, 3)).length, 3);
  await t.rejects(source.read(size - 3, 4), { code: 'ERR_SOCI_SOURCE_RANGE' });
});
