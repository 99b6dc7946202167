/** Layers of seventeen gzip writers, with the bytes that the reference implementation decodes out of every span. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { configure, settings } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { Ztoc } from '../../lib/ztoc/ztoc.js';
import { CountingSource, forgetSpans } from './counting-source.js';

const corpus = process.env['SEEKABLE_OCI_CORPUS'];
const DEFAULTS = settings();

if (corpus === undefined) {
  t.test('reference layers', { skip: 'SEEKABLE_OCI_CORPUS is not set' }, async () => {});
} else {
  await t.test('every span decodes to what the reference decodes', t => everySpan(t, corpus));
  await t.test('every reference ztoc, in every mode', t => everyZtoc(t, corpus));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function layerOf(corpus: string, blob: string): Promise<Buffer> {
  const path = join(corpus, 'blob', blob);
  if (existsSync(path)) return readFile(path);
  // Plain tars are there as their gzip layers.
  return gunzipSync(await readFile(path.replace(/\.tar$/, '-z6.tar.gz')));
}

async function everySpan(t: Test, corpus: string): Promise<void> {
  for (const file of await readdir(join(corpus, 'spans'))) {
    const [, blob = '', size = ''] = /^(.*)\.(\d+)\.txt$/.exec(file) ?? [];
    const layer = await layerOf(corpus, blob);
    const { ztoc } = await buildZtoc(layer, { spanSize: Number(size) });
    forgetSpans();
    const reader = new SpanReader(new CountingSource(layer), ztoc);
    let compared = 0;
    for (const line of (await readFile(join(corpus, 'spans', file), 'utf8')).trim().split('\n')) {
      const found = /c=(\d+)-(\d+) u=(\d+)-(\d+) ok=true usha256=(\w+)/.exec(line);
      const [start = 0, end = 0] = found?.slice(3, 5).map(Number) ?? [];
      if (found === null || end <= start) continue;
      const bytes = await reader.read(start, end);
      if (sha256(bytes) !== found[5]) t.fail(`${file}: ${line}`);
      compared++;
    }
    t.ok(compared > 0, `${file}: ${compared} of ${ztoc.spanCount} spans`);
    await reader.close();
  }
}

/** With its ordinary spans, and with spans that count as huge; with windows compared, and with the chain. */
async function everyZtoc(t: Test, corpus: string): Promise<void> {
  for (const file of await readdir(join(corpus, 'ztoc'))) {
    const blob = file.replace(/\.\d+\.ztoc$/, '');
    const layer = await layerOf(corpus, blob);
    const ztoc = Ztoc.decode(await readFile(join(corpus, 'ztoc', file)));
    const tar = ztoc.compression === 'gzip' ? gunzipSync(layer) : layer;
    for (const verifyWindows of ['neighbours', 'chain'] as const) {
      for (const maxSpanBytes of [DEFAULTS.maxSpanBytes, 200_000]) {
        configure({ ...DEFAULTS, maxSpanBytes });
        forgetSpans();
        const reader = new SpanReader(new CountingSource(layer), ztoc, { verifyWindows });
        const bytes = await reader.read(0, ztoc.uncompressedSize);
        t.ok(tar.subarray(0, bytes.length).equals(bytes), `${file}, ${verifyWindows}, up to ${maxSpanBytes}`);
        await reader.close();
      }
    }
  }
}
