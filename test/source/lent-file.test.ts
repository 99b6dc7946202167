/** Parts of a file that are lent to those who read by its descriptor: which sources lend, what, and for how long. */
import {
  appendFileSync,
  fstatSync,
  readdirSync,
  readSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { SociError, type SociErrorCode } from '../../lib/errors.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { SliceSource } from '../../lib/registry/slice-source.js';
import { VerifiedSource } from '../../lib/registry/verified-source.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import { FileSource } from '../../lib/source/file-source.js';
import { completeSource } from '../../lib/source/given-source.js';
import { type FileLender, type FilePart, LEND_FILE } from '../../lib/source/lent-file.js';
import type { RangeSource } from '../../lib/source/range-source.js';

const BYTES = Buffer.from(Array.from({ length: 5000 }, (_, i) => i * 7));

async function opened(t: Test): Promise<{ path: string; source: FileSource }> {
  const path = join(t.testdir(), 'layer');
  writeFileSync(path, BYTES);
  const source = await FileSource.open(path);
  t.teardown(() => source.close());
  return { path, source };
}

function lenderOf(source: RangeSource): FileLender {
  const lend = source[LEND_FILE];
  if (lend === undefined) throw new Error(`${source.name} lends nothing`);
  return lend;
}

async function readPart({ fd, offset, length }: FilePart): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes, 0, length, offset);
  return bytes;
}

t.test('a file lends itself, and so do parts of it and what is verified of it', async t => {
  const { source } = await opened(t);
  t.ok(BYTES.subarray(10, 110).equals(await lenderOf(source)(10, 100, readPart)));
  const slice = new SliceSource(source, 'slice', 1000, 2000);
  t.ok(BYTES.subarray(1010, 1110).equals(await lenderOf(slice)(10, 100, readPart)));
  const inner = new SliceSource(slice, 'inner', 500, 100);
  t.ok(BYTES.subarray(1507, 1517).equals(await lenderOf(inner)(7, 10, readPart)));
  const digest = sha256Digest(BYTES.subarray(1000, 3000));
  const verified = new VerifiedSource(slice, { mediaType: 'application/x', digest, size: 2000 });
  t.ok(BYTES.subarray(1000, 3000).equals(await lenderOf(verified)(0, 2000, readPart)));
  const { identity } = await lenderOf(source)(0, 0, async part => part);
  t.match(identity, { size: 5000n, mtimeNs: /^\d{18,}$/, ino: /^\d+$/ });
  const touchable = await FileSource.openTouchable(source.name);
  t.equal((await lenderOf(touchable)(0, 0, async part => part)).identity?.mtimeNs, undefined);
  await touchable.close();
});

t.test('what is no file, or only looks like one, lends nothing', async t => {
  const { source } = await opened(t);
  const buffer = new BufferSource(BYTES);
  t.equal(completeSource(buffer)[LEND_FILE], undefined);
  t.equal(new SliceSource(buffer, 'slice', 0, 10)[LEND_FILE], undefined);
  const counted = {
    size: source.size,
    name: source.name,
    read: source.read.bind(source),
    stream: source.stream.bind(source),
    close: source.close.bind(source),
  };
  t.equal(completeSource(counted)[LEND_FILE], undefined, 'reads of a caller may do more than read');
  t.equal(completeSource({ ...counted, readInto: source.readInto.bind(source) })[LEND_FILE], undefined);
});

t.test('nothing is lent outside of the source, after its close or after an abort', async t => {
  const { source } = await opened(t);
  const never = async (): Promise<never> => t.fail('must not be called') as never;
  const slice = new SliceSource(source, 'slice', 4000, 500);
  await t.rejects(lenderOf(source)(4999, 2, never), { code: 'ERR_SOCI_SOURCE_RANGE' });
  await t.rejects(lenderOf(slice)(499, 2, never), { code: 'ERR_SOCI_SOURCE_RANGE', message: /^slice/ });
  const reason = new Error('stop');
  await t.rejects(lenderOf(source)(0, 1, never, { signal: AbortSignal.abort(reason) }), reason);
  await slice.close();
  await t.rejects(lenderOf(slice)(0, 1, never), { code: 'ERR_SOCI_CLOSED', message: 'slice is closed' });
  await source.close();
  await t.rejects(lenderOf(source)(0, 1, never), { code: 'ERR_SOCI_CLOSED' });
});

t.test('closing waits for those who read, who then get ERR_SOCI_CLOSED', async t => {
  const { source, path } = await opened(t);
  const lend = lenderOf(source);
  let finish = (): void => {};
  const held = lend(0, 10, async part => {
    await new Promise<void>(resolve => {
      finish = resolve;
    });
    return fstatSync(part.fd).size;
  });
  const failing = lend(0, 10, async () => {
    await turn();
    throw new Error('on purpose');
  });
  let closed = false;
  const closing = source.close().then(() => {
    closed = true;
  });
  await t.rejects(failing, { code: 'ERR_SOCI_CLOSED', message: `${path} is closed` });
  await turn();
  t.notOk(closed);
  finish();
  await t.rejects(held, { code: 'ERR_SOCI_CLOSED' });
  await closing;
  const open = readdirSync('/proc/self/fd').length;
  const again = await FileSource.open(path);
  await again.close();
  t.equal(readdirSync('/proc/self/fd').length, open);
});

t.test('an abort meanwhile is the reason, whatever the reader says', async t => {
  const { source } = await opened(t);
  const reason = new Error('stop');
  for (const outcome of ['done', 'failed']) {
    const controller = new AbortController();
    const lent = lenderOf(source)(
      0,
      1,
      async () => {
        controller.abort(reason);
        if (outcome === 'failed') throw new Error('on purpose');
      },
      { signal: controller.signal },
    );
    await t.rejects(lent, reason);
  }
});

t.test('what a reader finds wrong with the file is worded as readInto words it', async t => {
  const found = (code: SociErrorCode, data: object) => async (): Promise<never> => {
    throw new SociError(code, 'as the core says it', { data: { ...data } });
  };
  const errorOf = async (promise: Promise<unknown>): Promise<SociError> => {
    const error = await promise.then(
      () => undefined,
      error => error,
    );
    if (!(error instanceof SociError)) throw new Error(`not refused: ${error}`);
    return error;
  };
  const changes: ((path: string) => void)[] = [
    path => truncateSync(path, 100),
    path => appendFileSync(path, 'more'),
    path => utimesSync(path, 1, 1),
  ];
  for (const change of changes) {
    const { source, path } = await opened(t);
    change(path);
    const expected = await errorOf(source.readInto(new Uint8Array(200), 0));
    const actual = await errorOf(lenderOf(source)(0, 200, found('ERR_SOCI_SOURCE_CHANGED', { offset: 200 })));
    t.equal(actual.code, 'ERR_SOCI_SOURCE_CHANGED');
    t.equal(actual.message, expected.message);
    t.same(actual.data, expected.data);
  }
  const { source, path } = await opened(t);
  const lend = lenderOf(source);
  t.match(await errorOf(lend(7, 200, found('ERR_SOCI_SOURCE_CHANGED', { offset: 200 }))), {
    message: `${path}: the file changed since it was opened: it was written to while it was read`,
  });
  t.match(await errorOf(lend(7, 200, found('ERR_SOCI_SOURCE_SHORT', { offset: 30 }))), {
    message: `${path}: expected 200 bytes at offset 7, the file gave 30`,
    data: { name: path, offset: 7, length: 200, received: 30 },
  });
  t.match(await errorOf(lend(7, 200, found('ERR_SOCI_SOURCE_IO', { offset: 0, reason: 'EIO' }))), {
    message: `${path}: cannot read: EIO: i/o error, read`,
    data: { path, syscall: 'read', reason: 'EIO' },
  });
  const other = await errorOf(lend(7, 200, found('ERR_SOCI_DEFLATE_DATA', { offset: 3 })));
  t.match(other, { code: 'ERR_SOCI_DEFLATE_DATA', message: 'as the core says it' }, 'passed on');
});
