/** Files that are there whole or not at all, whatever happens while they are written. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { AtomicFile, writeFileAtomically } from '../../lib/files/atomic-file.js';

const code = 'ERR_SOCI_OUTPUT';

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('half');
  throw new RangeError('no more');
}

t.test('a file takes the place of another when it is complete', async t => {
  const folder = t.testdir({ kept: 'old' });
  const path = join(folder, 'kept');
  await t.rejects(
    writeFileAtomically(path, failing(), { code }),
    RangeError,
    'an error of the chunks as it is',
  );
  t.equal(readFileSync(path, 'utf8'), 'old');
  t.same(readdirSync(folder), ['kept'], 'nothing is left over');
  const below = join(folder, 'a/b/new');
  await writeFileAtomically(below, [Buffer.from('n'), Buffer.from('ew')], { code });
  t.equal(readFileSync(below, 'utf8'), 'new', 'folders are made');
});

t.test('an abort leaves what was there', async t => {
  const folder = t.testdir({ kept: 'old' });
  const controller = new AbortController();
  const reason = new Error('enough');
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('half');
    controller.abort(reason);
    yield Buffer.from('rest');
  };
  const { signal } = controller;
  await t.rejects(writeFileAtomically(join(folder, 'kept'), chunks(), { code, signal }), reason);
  t.equal(readFileSync(join(folder, 'kept'), 'utf8'), 'old');
  t.same(readdirSync(folder), ['kept']);
});

t.test("what cannot be written is said in the caller's terms", async t => {
  const folder = t.testdir({ file: '' });
  const missing = join(folder, 'no/such');
  await t.rejects(AtomicFile.create(missing, { code, name: 'the result' }), {
    code,
    message: 'the result: cannot be written: no such file or directory',
    data: { path: missing, reason: 'ENOENT' },
  });
  const under = join(folder, 'file/x');
  await t.rejects(writeFileAtomically(under, [], { code: 'ERR_SOCI_LAYOUT' }), { code: 'ERR_SOCI_LAYOUT' });
  const taken = join(folder, 'taken');
  mkdirSync(taken);
  writeFileSync(join(taken, 'x'), '');
  await t.rejects(writeFileAtomically(taken, [], { code }), { code });
  t.same(readdirSync(folder), ['file', 'taken'], 'and leaves nothing');
});

t.test('what was discarded is gone, what was committed stays', async t => {
  const folder = t.testdir();
  const first = await AtomicFile.create(join(folder, 'first'), { code });
  await first.write(Buffer.from('x'));
  await first.discard();
  await first.discard();
  const second = await AtomicFile.create(join(folder, 'second'), { code });
  await second.write(Buffer.from('x'));
  await second.commit();
  await second.discard();
  t.same(readdirSync(folder), ['second']);
});
