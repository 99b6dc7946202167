import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { sha256Digest } from '../../lib/registry/digest.js';
import { parseManifest } from '../../lib/registry/manifest.js';
import { OCI_INDEX, OCI_MANIFEST } from '../../lib/registry/media-types.js';
import { encodeImageIndex, encodeManifest } from '../../lib/soci/canonical-json.js';
import { encodeSociIndex, parseSociIndex, type SociIndex } from '../../lib/soci/soci-index.js';
import fc from '../property.js';

const digestOf = (character: string) => `sha256:${character.repeat(64)}`;

const INDEX: SociIndex = {
  version: 'v2',
  ztocs: [
    {
      digest: digestOf('a'),
      size: 1234,
      layerDigest: digestOf('b'),
      layerMediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      spanSize: 4194304,
      disableXattrs: false,
    },
  ],
  prefetches: [],
  subject: undefined,
  buildToolIdentifier: 'AWS SOCI CLI v0.2',
};

t.test('an index has the bytes that the reference writes', async t => {
  const v2 = encodeSociIndex(INDEX);
  t.equal(v2.bytes.length, 709);
  t.equal(v2.descriptor.digest, 'sha256:90e9c579a769ca4ed52c6d423048a42c7bb82492341760a8e6604da45249c9af');
  t.equal(v2.descriptor.artifactType, 'application/vnd.amazon.soci.index.v2+json');

  const subject = { mediaType: OCI_MANIFEST, digest: digestOf('c'), size: 999 };
  const v1 = encodeSociIndex({ ...INDEX, version: 'v1', subject });
  t.equal(v1.bytes.length, 872);
  t.equal(v1.descriptor.digest, 'sha256:516bbcc7bd96ecf1d6770a3fe189931c202ca08ccb2e81e9a107eaccd018c7a5');
});

t.test('parsing an index gives back what was encoded', async t => {
  const index: SociIndex = {
    ...INDEX,
    ztocs: [{ ...INDEX.ztocs[0]!, disableXattrs: true }],
    prefetches: [{ digest: digestOf('d'), size: 97, layerDigest: digestOf('b') }],
  };
  t.strictSame(parseSociIndex(encodeSociIndex(index).bytes, 'index'), index);
});

t.test('what an index may contain beside ztocs is ignored', async t => {
  const document = JSON.parse(Buffer.from(encodeSociIndex(INDEX).bytes).toString());
  document.future = { nested: [1, 2, 3] };
  document.layers.push({ mediaType: 'application/x-other', digest: digestOf('e'), size: 1 });
  document.layers.push({ ...document.layers[0], annotations: {} });
  document.layers[0].annotations['com.amazon.soci.span-size'] = 'not a number';
  const parsed = parseSociIndex(Buffer.from(JSON.stringify(document)), 'index');
  t.strictSame(parsed.ztocs, [{ ...INDEX.ztocs[0], spanSize: undefined }]);
});

t.test('documents that are no SOCI index are refused', async t => {
  const document = JSON.parse(Buffer.from(encodeSociIndex(INDEX).bytes).toString());
  const parse = (value: unknown) => () => parseSociIndex(Buffer.from(JSON.stringify(value)), 'the index');
  t.throws(parse({ ...document, config: { ...document.config, mediaType: 'application/x' } }), {
    code: 'ERR_SOCI_INDEX_FORMAT',
    message: /the index: expected a SOCI index .*application\/x/,
  });
  t.throws(parse({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }), { code: /^ERR_SOCI_/ });
  t.throws(parse({ ...document, layers: [{ ...document.layers[0], digest: `sha512:${'a'.repeat(128)}` }] }), {
    code: 'ERR_SOCI_DIGEST_INVALID',
  });
  t.throws(() => parseSociIndex(Buffer.from('{'), 'the index'), { code: 'ERR_SOCI_MANIFEST' });
});

t.test('strings are escaped as Go escapes them', async t => {
  const annotations = {
    '\u{1F600}': 'astral sorts after U+FFFD in UTF-8, before it in UTF-16',
    '\uFFFD': '<script>&\u2028\u2029',
    a: 'tab\t newline\n quote" backslash\\ bell\u0007 delete\u007f',
    lone: '\ud800',
  };
  const index = { kind: 'index' as const, mediaType: OCI_INDEX, manifests: [], annotations };
  t.equal(
    Buffer.from(encodeImageIndex(index)).toString(),
    `{"schemaVersion":2,"mediaType":"${OCI_INDEX}","manifests":[],"annotations":{` +
      '"a":"tab\\t newline\\n quote\\" backslash\\\\ bell\\u0007 delete\u007f",' +
      '"lone":"\uFFFD",' +
      '"\uFFFD":"\\u003cscript\\u003e\\u0026\\u2028\\u2029",' +
      '"\u{1F600}":"astral sorts after U+FFFD in UTF-8, before it in UTF-16"}}',
  );
});

t.test('any annotations survive encoding and parsing', async t => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.string()), annotations => {
      const source = { kind: 'index' as const, mediaType: OCI_INDEX, manifests: [], annotations };
      const parsed = parseManifest(encodeImageIndex(source), OCI_INDEX, 'index');
      t.strictSame({ ...parsed.annotations }, { ...annotations });
    }),
  );
  t.pass();
});

const corpus = process.env['SEEKABLE_OCI_CORPUS'];
const images = corpus === undefined ? '' : path.join(corpus, '..', 'images', 'expected');
const skip = existsSync(images) ? false : 'SEEKABLE_OCI_CORPUS names no folder beside golden images';

t.test('documents of the golden images survive parsing and encoding byte for byte', { skip }, async t => {
  let documents = 0;
  for (const name of readdirSync(images)) {
    const folder = path.join(images, name, 'blobs', 'sha256');
    for (const hex of readdirSync(folder)) {
      const bytes = readFileSync(path.join(folder, hex));
      if (!bytes.subarray(0, 17).equals(Buffer.from('{"schemaVersion":'))) continue;
      const parsed = parseManifest(bytes, undefined, hex);
      const encoded = parsed.kind === 'index' ? encodeImageIndex(parsed) : encodeManifest(parsed);
      t.equal(sha256Digest(encoded), `sha256:${hex}`, `${name}/${hex}`);
      documents += 1;
      if (parsed.kind === 'manifest' && parsed.config.mediaType.includes('soci.index')) {
        t.equal(encodeSociIndex(parseSociIndex(bytes, hex)).descriptor.digest, `sha256:${hex}`);
      }
    }
  }
  t.ok(documents > 10);
});
