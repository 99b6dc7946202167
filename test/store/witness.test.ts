/** Who has seen all of a blob go by: what he says is held against what is there, and spares reading it, or does not. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Witness } from '../../lib/source/range-source.js';
import { encodeRecords } from '../../lib/store/block-journal.js';
import { SeenRecords } from '../../lib/store/seen-records.js';
import { Store } from '../../lib/store/store.js';
import fc from '../property.js';
import { digestOf, Origin, sample, watchStores } from './sample-blob.js';

const BLOB = sample(3 * 2 ** 20 + 777);

t.test('records are those of the journal, in whatever chunks the bytes come', async t => {
  const bytes = sample(200_000, 5).bytes;
  const lengths = fc.array(fc.oneof(fc.constant(4096), fc.nat(20_000)), { maxLength: 60 });
  fc.assert(
    fc.property(lengths, fc.nat(bytes.length), (lengths, size) => {
      const seen = new SeenRecords();
      let at = 0;
      for (const length of lengths) {
        seen.add(bytes.subarray(at, Math.min(at + length, size)));
        at = Math.min(at + length, size);
      }
      seen.add(bytes.subarray(at, size));
      return Buffer.compare(seen.end(), encodeRecords(0, bytes.subarray(0, size))) === 0;
    }),
  );
  const large = sample(40 * 2 ** 20 + 1, 6).bytes;
  const seen = new SeenRecords();
  for (let at = 0; at < large.length; at += 2 ** 20 + 1) seen.add(large.subarray(at, at + 2 ** 20 + 1));
  t.equal(Buffer.compare(seen.end(), encodeRecords(0, large)), 0, 'more than there is room for at first');
});

/** Reads all of the blob past a witness. */
async function seenBy(store: Store, intercept?: Origin['intercept']) {
  const origin = new Origin(BLOB);
  origin.intercept = intercept;
  const source = await store.open(BLOB, origin);
  const witness = source.keeping?.witness?.() as Witness;
  for (let at = 0; at < BLOB.size; at += 1_000_000) {
    witness.saw(await source.read(at, Math.min(1_000_000, BLOB.size - at)));
  }
  await source.keeping?.settled();
  return { source, witness };
}

t.test('what was seen is what is there: whole, without reading it', async t => {
  const heard = watchStores(t);
  const folder = t.testdir({});
  const store = await Store.open(folder, { maxBytes: 2 ** 30 });
  const { source, witness } = await seenBy(store);
  t.equal(await source.keeping?.presentBytes(0, BLOB.size), BLOB.size);
  t.same(heard, [], 'not before he has spoken');
  // A byte that changes behind everybody's back is what only reading would find.
  const data = join(folder, 'partial/sha256', BLOB.digest.slice(7));
  const changed = readFileSync(data);
  changed[5]! ^= 1;
  writeFileSync(data, changed);
  witness.testify(BLOB.digest);
  await source.keeping?.settled();
  t.same(heard, ['completed']);
  t.equal(await store.fileOf(BLOB), join(folder, 'blobs/sha256', BLOB.digest.slice(7)));
  await source.close();
  t.equal(await store.verify(BLOB), BLOB.size, 'who reads it anew trusts nobody');
  await store.close();
});

t.test('what he saw is another blob', async t => {
  const heard = watchStores(t);
  const store = await Store.open(t.testdir({}), { maxBytes: 2 ** 30 });
  const { source, witness } = await seenBy(store, bytes => {
    bytes[3]! ^= 1;
    return bytes;
  });
  const other = digestOf(Buffer.from('other'));
  witness.testify(other);
  await t.rejects(async () => source.keeping?.settled(), {
    code: 'ERR_SOCI_DIGEST_MISMATCH',
    data: { found: other },
  });
  t.same(heard, ['refused']);
  t.equal(await store.fileOf(BLOB), undefined);
  await source.close();
  await store.close();
});

t.test('what he saw is not what is there: it is read, and he does not count', async t => {
  for (const said of ['right', 'wrong'] as const) {
    const heard = watchStores(t);
    const store = await Store.open(join(t.testdir({}), said), { maxBytes: 2 ** 30 });
    // Somebody else, whose registry lies, writes other bytes over some of it.
    const liar = new Origin(BLOB);
    liar.intercept = bytes => bytes.fill(7);
    const other = await store.open(BLOB, liar);
    const release = other.keeping!.hold();
    const { source, witness } = await seenBy(store);
    await other.read(8192, 4096, { fresh: true });
    await other.keeping!.settled();
    witness.testify(said === 'right' ? BLOB.digest : digestOf(Buffer.from('x')));
    await source.keeping?.settled().catch(() => {});
    t.same(
      heard.filter(each => each !== 'damage 4096'),
      ['refused'],
      said,
    );
    release();
    await source.close();
    await other.close();
    await store.close();
  }
});

t.test('one who did not see the end says nothing, and the blob is proved as ever', async t => {
  const heard = watchStores(t);
  const store = await Store.open(t.testdir({}), { maxBytes: 2 ** 30 });
  const { source, witness } = await seenBy(store);
  witness.testify(undefined);
  await source.keeping?.settled();
  t.same(heard, ['completed']);
  await source.close();
  await store.close();
});

t.test('streams of one who proves them himself are not hashed, and may be had anew', async t => {
  const store = await Store.open(t.testdir({}), { maxBytes: 2 ** 30 });
  const origin = new Origin(BLOB);
  const source = await store.open(BLOB, origin);
  await source.read(0, 100_000);
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.stream({ fresh: true, provedByReader: true })) chunks.push(chunk);
  t.equal(origin.streams, 1, 'in one request, although some of it was there');
  t.equal(Buffer.compare(Buffer.concat(chunks), BLOB.bytes), 0);
  await source.keeping?.settled();
  t.match(await store.completion(BLOB), { proved: true });
  await source.close();
  await store.close();
});
