/** Temporary files: out of everybody's reach, and all of a space together bounded. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { TemporarySpace } from '../../lib/files/temporary-file.js';

t.test('they have no name, and a bound', async t => {
  const bounds = { tempDirectory: t.testdir(), tempBytes: 100 };
  const space = new TemporarySpace(() => bounds);
  const file = await space.create(60);
  t.same(readdirSync(bounds.tempDirectory), [], 'unlinked at once');
  await file.write(Buffer.from('abcdef'), 3);
  t.same(Buffer.from(await file.read(5, 4)).toString(), 'cdef');
  await t.rejects(file.read(5, 5), { code: 'ERR_SOCI_SOURCE_SHORT' });
  await t.rejects(space.create(41), { code: 'ERR_SOCI_LIMIT' });
  const second = await space.create(40);
  await Promise.all([file.close(), file.close(), second.close()]);
  t.equal(space.reserved, 0, 'closing twice gives back once');
  await t.rejects(file.read(0, 1), { code: 'ERR_SOCI_SOURCE_IO', data: { syscall: 'read' } });
  await t.rejects(file.write(Buffer.from('a'), 0), {
    code: 'ERR_SOCI_SOURCE_IO',
    data: { syscall: 'write' },
  });
  bounds.tempDirectory = join(bounds.tempDirectory, 'missing');
  const failed = { code: 'ERR_SOCI_SOURCE_IO', data: { syscall: 'create', reason: 'ENOENT' } };
  await t.rejects(space.create(10), failed, 'not to be taken for a file that the layer lacks');
  t.equal(space.reserved, 0, 'a file that could not be made takes nothing');
});

t.test('a file of unknown size counts as it grows', async t => {
  const bounds = { tempDirectory: t.testdir(), tempBytes: 10 };
  const space = new TemporarySpace(() => bounds);
  const file = await space.create();
  await file.write(Buffer.from('abcdef'), file.size);
  t.equal(space.reserved, 6);
  await file.write(Buffer.from('gh'), 2);
  t.equal(file.size, 6, 'what is written over is not counted again');
  await t.rejects(file.write(Buffer.from('ijklm'), file.size), { code: 'ERR_SOCI_LIMIT' });
  t.same(Buffer.from(await file.read(0, 6)).toString(), 'abghef', 'what was refused has changed nothing');
  await file.close();
  t.equal(space.reserved, 0);
});
