/** Turns at a file: one at a time, whoever comes, and nobody is locked out by one that is gone. */
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { FileTurn, makeLockFile } from '../../lib/files/locked-file.js';
import { linuxOnly } from '../posix/linux-only.js';

t.test('the file is made once, and never replaced', async t => {
  const folder = t.testdir({});
  const path = join(folder, 'lock');
  await Promise.all(Array.from({ length: 20 }, (_, at) => makeLockFile(path, `content ${at}`)));
  t.match(readFileSync(path, 'utf8'), /^content \d+$/);
  const { ino } = statSync(path);
  await makeLockFile(path, 'other');
  t.equal(statSync(path).ino, ino);
  t.same(readdirSync(folder), ['lock']);
  await t.rejects(makeLockFile(join(folder, 'none', 'lock'), ''), { code: 'ENOENT' });
});

t.test('one at a time', linuxOnly, async t => {
  const path = join(t.testdir({}), 'lock');
  await makeLockFile(path, '');
  let inside = 0;
  const work = async () => {
    const turn = await FileTurn.take(path, undefined);
    inside++;
    t.equal(inside, 1);
    await delay(2);
    inside--;
    await turn.end();
  };
  await Promise.all(Array.from({ length: 10 }, work));
  const turn = await FileTurn.take(path, undefined);
  const leaving = new AbortController();
  const waiting = FileTurn.take(path, leaving.signal);
  leaving.abort(new Error('enough'));
  await t.rejects(waiting, { message: 'enough' });
  await turn.end();
  await t.rejects(FileTurn.take(`${path}.none`, undefined), { code: 'ENOENT' });
});

t.test('a file that has taken its place is the one that counts', linuxOnly, async t => {
  const path = join(t.testdir({}), 'lock');
  await makeLockFile(path, '');
  const first = await FileTurn.take(path, undefined);
  const waiting = FileTurn.take(path, undefined);
  await delay(5);
  writeFileSync(`${path}.new`, '');
  renameSync(`${path}.new`, path);
  const other = await FileTurn.take(path, undefined);
  await first.end();
  let came = false;
  void waiting.then(() => {
    came = true;
  });
  await delay(60);
  t.equal(came, false, 'who waited for the old one waits for the new one now');
  await other.end();
  await (await waiting).end();
});
