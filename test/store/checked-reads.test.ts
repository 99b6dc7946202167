/** Spans read through a store whose disk lies: their digests find it, and what is fetched afresh is kept. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import { OfflineSource } from '../../lib/store/offline-source.js';
import { Store } from '../../lib/store/store.js';
import { standardSample } from '../span/sample-layers.js';
import { digestOf, Origin } from './sample-blob.js';

const { tar, layer, ztoc } = await standardSample();
const BLOB = { bytes: layer, digest: digestOf(layer), size: layer.length };

t.test('every way to read spans', async t => {
  for (const settings of [{}, { maxSpanBytes: 1000 }]) {
    for (const verifyWindows of ['neighbours', 'chain'] as const) {
      const folder = t.testdir({});
      await using store = await Store.open(folder, { maxBytes: 2 ** 30 });
      const filling = await store.open(BLOB, new Origin(BLOB));
      await filling.read(0, BLOB.size);
      await filling.close();
      const damaged = Buffer.from(layer);
      damaged[ztoc.span(3).compressedStart + 50]! ^= 1;
      writeFileSync(join(folder, 'blobs', 'sha256', BLOB.digest.slice(7)), damaged);
      const origin = new Origin(BLOB);
      const source = await store.open(BLOB, origin);
      await using reader = new SpanReader(source, ztoc, {
        context: new ReadContext(settings),
        verifyWindows,
      });
      t.ok(tar.equals(await reader.read(0, tar.length)), `${JSON.stringify(settings)} ${verifyWindows}`);
      t.equal(reader.stats.digestRetries, 1);
      t.ok(origin.fetched > 0 && origin.reads.some(({ fresh }) => fresh));
      await source.close();
      const { present, proved } = await store.completion(BLOB);
      t.ok(present > 0 && !proved, 'the damaged blob is gone, what came afresh is there');
    }
  }
});

t.test('offline, what is there is read, and what is missing is named', async t => {
  await using store = await Store.open(t.testdir({}), { maxBytes: 2 ** 30 });
  const filling = await store.open(BLOB, new Origin(BLOB));
  await filling.read(0, 8192);
  await filling.read(20_000, 10);
  await filling.close();
  const source = await store.open(BLOB, new OfflineSource('registry.example/app', BLOB));
  t.equal(Buffer.compare(await source.read(10, 8000), layer.subarray(10, 8010)), 0);
  await t.rejects(source.read(8000, 1000), {
    code: 'ERR_SOCI_OFFLINE',
    message: /^registry\.example\/app: bytes 8192 to 12287 of \d+ are wanted, but not in the store/,
    data: { digest: BLOB.digest, offset: 8192, length: 4096 },
  });
  await t.rejects(
    source.read(0, 30_000),
    { code: 'ERR_SOCI_OFFLINE', data: { offset: 8192, length: 8192 } },
    'not what is between',
  );
  await source.close();
});
