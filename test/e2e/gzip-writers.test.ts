/**
 * Layers as they are in the wild: GNU tar in its three formats, compressed by
 * every gzip writer that Debian has, served by nginx, read file by file through
 * HTTP ranges and compared with the folder that they were packed from.
 */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { openLayer } from '../../lib/image/layer.js';
import { HttpSource } from '../../lib/source/http/http-source.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { verifyZtoc } from '../../lib/ztoc/verify.js';
import { Ztoc } from '../../lib/ztoc/ztoc.js';
import { FaultyServer } from '../helpers/http-server.js';
import { GZIP_WRITERS, gzipWith } from './support/gzip-writers.js';
import { differences } from './support/layer-reading.js';
import { Nginx } from './support/nginx.js';
import { run } from './support/process.js';
import {
  readTree,
  setExtendedAttribute,
  type TarFormat,
  type TreeEntry,
  tarOf,
  writeSampleTree,
} from './support/sample-tree.js';
import { needs } from './support/tools.js';
import { workspace } from './support/workspace.js';

const FORMATS: readonly TarFormat[] = ['gnu', 'pax', 'ustar'];
const SPAN_SIZE = 256 * 1024;

interface Sample {
  readonly tar: Buffer;
  readonly tree: ReadonlyMap<string, TreeEntry>;
}

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const skip = needs('tar', 'nginx');
const folder = await workspace(t);
const nginx = skip ? undefined : await Nginx.start(t);

const samples = new Map<TarFormat, Sample>();
if (!skip) for (const format of FORMATS) samples.set(format, await pack(format));

async function pack(format: TarFormat, small = false): Promise<Sample> {
  const root = join(folder, `${format}${small ? '-small' : ''}`);
  await writeSampleTree(root, format, small);
  return { tar: await tarOf(root, format), tree: await readTree(root) };
}

t.test('every writer, every tar format', { skip }, async t => {
  const small = await pack('gnu', true);
  for (const writer of GZIP_WRITERS) {
    t.test(writer.name, { skip: needs(writer.tool) }, async t => {
      for (const format of writer.slow ? (['gnu'] as const) : FORMATS) {
        const { tar, tree } = writer.slow ? small : samples.get(format)!;
        const bytes = await gzipWith(writer, tar);
        const file = `${writer.name.replace(/\W+/g, '-')}-${format}.tar.gz`;
        await writeFile(join(nginx!.root, file), bytes);
        const source = await HttpSource.open(nginx!.url(file));
        t.teardown(() => source.close());

        const built = await buildZtoc(source, { spanSize: SPAN_SIZE, diffId: true });
        t.equal(built.layerDigest, sha256(bytes), `${format}: layer digest`);
        t.equal(built.diffId, sha256(tar), `${format}: diffID`);
        const local = await buildZtoc(bytes, { spanSize: SPAN_SIZE });
        t.equal(built.ztoc.digest, local.ztoc.digest, `${format}: the ztoc is the same from a URL`);
        await t.resolves(verifyZtoc(source, built.ztoc), `${format}: verify`);

        const ztoc = Ztoc.decode(built.ztoc.encode());
        const layer = await openLayer(source, ztoc);
        t.teardown(() => layer.close());
        t.same(await differences(layer, tree), [], `${format}: all ${tree.size} files are the same`);
        const { fetchedBytes, digestRetries } = layer.stats;
        t.ok(fetchedBytes <= bytes.length + ztoc.spanCount, 'no span was fetched twice');
        t.equal(digestRetries, 0);
      }
    });
  }
});

t.test('one file is one request for the spans that it lies in', { skip }, async t => {
  const { tar, tree } = samples.get('pax')!;
  const bytes = await gzipWith(GZIP_WRITERS[0]!, tar);
  await writeFile(join(nginx!.root, 'one-file.tar.gz'), bytes);
  const source = await HttpSource.open(nginx!.url('one-file.tar.gz'));
  t.teardown(() => source.close());
  const { ztoc } = await buildZtoc(bytes, { spanSize: SPAN_SIZE });
  for (const path of ['sizes/513', 'big/noise', 'usr/lib/code/dispatcher/client.js']) {
    const before = (await nginx!.requests('/one-file.tar.gz', 1)).length;
    // Of a context of its own: an earlier test has decoded the same spans.
    await using context = new ReadContext();
    await using layer = await openLayer(source, ztoc, { context });
    const plan = layer.explain(path);
    const expected = tree.get(path);
    const content = await layer.readFile(path);
    t.ok(expected?.type === 'file' && content.equals(expected.content), path);
    t.match(layer.stats, { requests: plan.requests, fetchedBytes: plan.bytes }, 'as planned');
    const sent = (await nginx!.requests('/one-file.tar.gz', before + plan.requests)).slice(before);
    t.equal(sent.length, 1, 'one request');
    t.equal(sent[0]?.status, 206);
    t.equal(sent[0]?.bytes, plan.bytes, `${plan.bytes} of ${bytes.length} bytes left the server`);
  }
});

t.test('ranges inside files, from the in-process server', { skip }, async t => {
  const { tar, tree } = samples.get('gnu')!;
  const server = await FaultyServer.listen();
  t.teardown(() => server.close());
  for (const writer of GZIP_WRITERS.filter(({ slow }) => !slow)) {
    if (needs(writer.tool)) continue;
    const bytes = await gzipWith(writer, tar);
    const source = await HttpSource.open(server.put(`/${encodeURIComponent(writer.name)}`, bytes));
    await using layer = await openLayer(source, (await buildZtoc(bytes, { spanSize: SPAN_SIZE })).ztoc, {
      closeSource: true,
    });
    const wrong: string[] = [];
    for (const path of ['big/noise', 'big/zeros', 'usr/lib/code/dispatcher/client.js']) {
      const expected = tree.get(path);
      if (expected?.type !== 'file') throw new Error(`${path} is no file`);
      const { content } = expected;
      await using file = await layer.open(path);
      for (let i = 0; i < 20; i++) {
        const start = Math.floor((content.length * i) / 20);
        const buffer = Buffer.alloc(1 + ((i * 7919) % 70_000));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
        const part = content.subarray(start, start + buffer.length);
        if (!buffer.subarray(0, bytesRead).equals(part)) wrong.push(`${path} at ${start}`);
      }
    }
    t.same(wrong, [], writer.name);
  }
});

t.test('extended attributes, base-256 numbers and old formats', { skip }, async t => {
  const root = join(folder, 'attributes');
  await writeSampleTree(root, 'pax', true);
  const attributes = await setExtendedAttribute(join(root, 'sizes/513'), 'user.origin', 'täst');
  const tree = await readTree(root);
  const cases = [
    ['pax with extended attributes', 'pax', ['--xattrs']],
    ['pax with sub-second times only', 'pax', ['--pax-option=delete=ctime,delete=atime']],
    ['gnu with access times', 'gnu', ['--atime-preserve']],
    ['gnu with ids beyond octal', 'gnu', ['--owner=x:4000000000', '--group=y:4000000000']],
    ['gnu in one record', 'gnu', ['--blocking-factor=1']],
    ['gnu in large records', 'gnu', ['--blocking-factor=2048']],
  ] as const;
  for (const [name, format, args] of cases) {
    const bytes = await gzipWith(GZIP_WRITERS[0]!, await tarOf(root, format, args));
    await writeFile(join(nginx!.root, 'attributes.tar.gz'), bytes);
    await using source = await opened(nginx!.url('attributes.tar.gz'));
    const { ztoc } = await buildZtoc(source, { spanSize: SPAN_SIZE });
    await verifyZtoc(source, ztoc);
    await using layer = await openLayer(source, ztoc);
    t.same(await differences(layer, tree), [], name);
    if (name.includes('ids')) t.equal(layer.lookup('sizes/513').uid, 4_000_000_000);
    if (name.includes('sub-second')) t.equal(layer.lookup('sizes/1').modTime, '2023-11-14T22:13:20.5Z');
    if (args.some(argument => argument === '--xattrs') && attributes) {
      const records = layer.lookup('sizes/513').pax;
      const value = records.find(({ key }) => key === 'SCHILY.xattr.user.origin')?.value;
      t.equal(Buffer.from(value ?? []).toString(), 'täst', 'the attribute is in the table of contents');
    }
  }

  // A sparse file's map is in front of its data: no range of the tar is the file's content.
  await run('truncate', ['-s', '3M', join(root, 'big/holes')]);
  for (const format of ['gnu', 'pax'] as const) {
    const bytes = await gzipWith(GZIP_WRITERS[0]!, await tarOf(root, format, ['--sparse']));
    await t.rejects(buildZtoc(bytes), { code: 'ERR_SOCI_TAR_UNSUPPORTED' }, `a sparse file in ${format}`);
  }
});

async function opened(url: string): Promise<HttpSource & AsyncDisposable> {
  const source = await HttpSource.open(url);
  return Object.assign(source, { [Symbol.asyncDispose]: () => source.close() });
}
