import t from 'tap';
import { parseChallenges } from '../../lib/registry/challenge.js';
import { parseDescriptor } from '../../lib/registry/descriptor.js';
import { isDigest, requireSha256, sha256Digest, verifyContent } from '../../lib/registry/digest.js';
import { parseImageLocation } from '../../lib/registry/image-location.js';
import { parseManifest } from '../../lib/registry/manifest.js';
import { layerCompression, OCI_INDEX, OCI_MANIFEST } from '../../lib/registry/media-types.js';
import {
  bestPlatformMatch,
  formatPlatform,
  normalizePlatform,
  type Platform,
  parsePlatform,
  platformRank,
  samePlatform,
} from '../../lib/registry/platform.js';
import {
  familiarReference,
  formatReference,
  parseReference,
  referenceTarget,
  registryHost,
} from '../../lib/registry/reference.js';
import { coversScopes, mergeScopes, repositoryScope } from '../../lib/registry/scope.js';
import fc from '../property.js';

const HEX = 'a'.repeat(64);

t.test('references', t => {
  const canonical: [string, string][] = [
    ['debian', 'docker.io/library/debian'],
    ['debian:12', 'docker.io/library/debian:12'],
    ['user/app', 'docker.io/user/app'],
    ['docker.io/debian', 'docker.io/library/debian'],
    ['index.docker.io/user/app:1', 'docker.io/user/app:1'],
    ['localhost/app', 'localhost/app'],
    ['localhost:5000/app', 'localhost:5000/app'],
    ['Upper/app', 'Upper/app'],
    ['registry.example/a/b/c:v1.2-3_4', 'registry.example/a/b/c:v1.2-3_4'],
    ['[::1]:5000/app:x', '[::1]:5000/app:x'],
    [`registry.example:5000/app:1@sha256:${HEX}`, `registry.example:5000/app:1@sha256:${HEX}`],
    ['a__b/c---d/e.f', 'docker.io/a__b/c---d/e.f'],
  ];
  for (const [text, expected] of canonical) {
    t.equal(formatReference(parseReference(text)), expected, `${text} is ${expected}`);
  }

  t.test('the digest wins over the tag, and latest stands in for both', t => {
    t.equal(referenceTarget(parseReference('debian')), 'latest');
    t.equal(referenceTarget(parseReference('debian:12')), '12');
    t.equal(referenceTarget(parseReference(`debian:12@sha256:${HEX}`)), `sha256:${HEX}`);
    t.end();
  });

  t.test('Docker Hub is served by a host of another name', t => {
    t.equal(registryHost('docker.io'), 'registry-1.docker.io');
    t.equal(registryHost('127.0.0.1:5000'), '127.0.0.1:5000');
    t.end();
  });

  t.test('the familiar form means the same as the canonical one', t => {
    for (const [text] of canonical) {
      const parsed = parseReference(text);
      t.same(parseReference(familiarReference(parsed)), parsed, familiarReference(parsed));
    }
    t.equal(familiarReference(parseReference('docker.io/library/debian:12')), 'debian:12');
    t.same(parseReference(familiarReference(parseReference('library/a/b'))), parseReference('library/a/b'));
    t.end();
  });

  const refused = [
    '',
    '/',
    'debian:',
    'debian@',
    ':tag',
    'a b',
    'Debian',
    'debian/Upper',
    '-a',
    'a-',
    'a..b',
    'a___b',
    'a/',
    '/a',
    'debian:-x',
    `debian:${'x'.repeat(129)}`,
    'debian@sha256:abc',
    `debian@sha256:${'A'.repeat(64)}`,
    HEX,
    'http://registry.example/app',
    'registry.example:99999999/app',
    'registry.example:port/app',
    'a'.repeat(300),
    'registry..example/app',
    'debian:12\n',
    'registry.example/app?x',
    'user@host/app',
    '../x',
    'registry.example/../x',
  ];
  for (const text of refused) {
    t.throws(
      () => parseReference(text),
      { code: 'ERR_SOCI_REFERENCE' },
      `refuses ${JSON.stringify(text.slice(0, 40))}`,
    );
  }

  t.test(
    'no text makes the parser do anything but parse or refuse, and what it parsed it parses again',
    t => {
      const piece = fc.constantFrom(
        'a',
        'B',
        '0',
        '.',
        '-',
        '_',
        '/',
        ':',
        '@',
        'sha256',
        'localhost',
        HEX,
        '[',
        ']',
        ' ',
      );
      fc.assert(
        fc.property(
          fc.oneof(
            fc.string(),
            fc.array(piece, { maxLength: 12 }).map(parts => parts.join('')),
          ),
          text => {
            let formatted: string;
            try {
              formatted = formatReference(parseReference(text));
            } catch (error) {
              return (error as { code?: string }).code === 'ERR_SOCI_REFERENCE';
            }
            return formatReference(parseReference(formatted)) === formatted;
          },
        ),
      );
      t.end();
    },
  );
  t.end();
});

t.test('image locations', t => {
  t.match(parseImageLocation('debian:12'), { kind: 'registry', reference: { tag: '12' } });
  t.same(parseImageLocation('docker://r.example/a:1'), parseImageLocation('r.example/a:1'));
  t.match(parseImageLocation('dir:1'), { kind: 'registry', reference: { repository: 'library/dir' } });
  for (const other of ['dir:/x', 'docker-daemon:/x', 'containers-storage:r.example/a:1']) {
    t.throws(() => parseImageLocation(other), {
      code: 'ERR_SOCI_REFERENCE',
      message: /skopeo copy .* oci-archive:/,
    });
  }
  t.throws(() => parseImageLocation('https://r.example/a:1'), {
    message: /leave the scheme out.*--plain-http/,
  });
  t.same(parseImageLocation('oci:dir/sub'), { kind: 'layout', path: 'dir/sub' });
  t.same(parseImageLocation('oci:/dir:v1'), { kind: 'layout', path: '/dir', reference: 'v1' });
  t.same(parseImageLocation('oci:dir:docker.io/library/debian:12'), {
    kind: 'layout',
    path: 'dir',
    reference: 'docker.io/library/debian:12',
  });
  t.same(parseImageLocation(`oci-archive:x.tar@sha256:${HEX}`), {
    kind: 'archive',
    path: 'x.tar',
    reference: `sha256:${HEX}`,
  });
  const docker = 'docker-archive';
  t.same(parseImageLocation('docker-archive:x@y.tar'), { kind: docker, path: 'x@y.tar' });
  t.same(parseImageLocation('docker-archive:/x.tar:app'), {
    kind: docker,
    path: '/x.tar',
    reference: 'docker.io/library/app:latest',
  });
  t.same(parseImageLocation('docker-archive:x.tar:localhost:5000/app:1'), {
    kind: docker,
    path: 'x.tar',
    reference: 'localhost:5000/app:1',
  });
  t.same(parseImageLocation('docker-archive:x.tar:@2'), { kind: docker, path: 'x.tar', position: 2 });
  for (const bad of ['', ':app', 'x.tar:', 'x.tar:@', `x.tar:app@sha256:${HEX}`]) {
    t.throws(() => parseImageLocation(`docker-archive:${bad}`), {
      code: 'ERR_SOCI_REFERENCE',
      message: /expected docker-archive:FILE/,
    });
  }
  t.same(parseImageLocation('oci:C:\\images:v1'), { kind: 'layout', path: 'C:\\images', reference: 'v1' });
  t.same(parseImageLocation('oci:me@home'), { kind: 'layout', path: 'me@home' });
  t.throws(() => parseImageLocation('oci:'), { code: 'ERR_SOCI_REFERENCE' });
  t.throws(() => parseImageLocation('oci:dir:'), { code: 'ERR_SOCI_REFERENCE' });
  t.end();
});

t.test('digests', t => {
  t.ok(isDigest(`sha256:${HEX}`));
  t.ok(
    isDigest('multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8'),
    'any algorithm is grammatical',
  );
  for (const bad of [
    '',
    'sha256',
    'sha256:',
    `sha256:${HEX}0`,
    `sha256:${HEX.toUpperCase()}`,
    `SHA256:${HEX}`,
    `sha512:${HEX}`,
  ]) {
    t.notOk(isDigest(bad), bad);
  }
  t.equal(
    sha256Digest(Buffer.from('{}')),
    'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
  );
  t.throws(
    () => requireSha256(`sha512:${HEX}${HEX}`, 'a blob'),
    { code: 'ERR_SOCI_DIGEST_INVALID' },
    'only sha256 is trusted',
  );
  const bytes = Buffer.from('bytes');
  t.doesNotThrow(() => verifyContent(bytes, sha256Digest(bytes), 5, 'it'));
  t.throws(() => verifyContent(bytes, sha256Digest(bytes), 4, 'it'), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
  t.throws(() => verifyContent(bytes, sha256Digest(bytes), 6, 'it'), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
  t.throws(() => verifyContent(bytes, `sha256:${HEX}`, 5, 'it'), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
  t.end();
});

t.test('platforms', t => {
  const normal: [Platform, string][] = [
    [{ os: 'Linux', architecture: 'x86_64' }, 'linux/amd64'],
    [{ os: 'linux', architecture: 'amd64', variant: 'v1' }, 'linux/amd64'],
    [{ os: 'linux', architecture: 'amd64', variant: 'v3' }, 'linux/amd64/v3'],
    [{ os: 'linux', architecture: 'aarch64' }, 'linux/arm64'],
    [{ os: 'linux', architecture: 'arm64', variant: 'v8' }, 'linux/arm64'],
    [{ os: 'linux', architecture: 'arm64', variant: '8' }, 'linux/arm64'],
    [{ os: 'linux', architecture: 'arm' }, 'linux/arm/v7'],
    [{ os: 'linux', architecture: 'arm', variant: '6' }, 'linux/arm/v6'],
    [{ os: 'linux', architecture: 'armhf' }, 'linux/arm/v7'],
    [{ os: 'linux', architecture: 'armel' }, 'linux/arm/v6'],
    [{ os: 'linux', architecture: 'i386' }, 'linux/386'],
    [{ os: 'macos', architecture: 'arm64' }, 'darwin/arm64'],
  ];
  for (const [platform, expected] of normal) {
    t.equal(formatPlatform(normalizePlatform(platform)), expected);
  }

  t.equal(formatPlatform(parsePlatform('linux/arm/v6')), 'linux/arm/v6');
  t.equal(formatPlatform(parsePlatform('windows(10.0.17763)/amd64')), 'windows(10.0.17763)/amd64');
  t.equal(parsePlatform('arm64').architecture, 'arm64');
  t.equal(parsePlatform('windows').os, 'windows');
  for (const bad of ['', '/', 'linux/', 'linux/a/b/c', 'nonsense', 'li nux/amd64', 'linux//v8']) {
    t.throws(() => parsePlatform(bad), { code: 'ERR_SOCI_PLATFORM' }, bad);
  }

  const of = (text: string): { readonly platform: Platform } => {
    const [os = '', architecture = '', variant] = text.split('/');
    return { platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } };
  };
  const best = (wanted: string, ...offers: string[]): string | undefined => {
    const found = bestPlatformMatch(of(wanted).platform, offers.map(of));
    return found && formatPlatform(found.platform);
  };
  t.equal(
    best('linux/arm/v7', 'linux/arm/v5', 'linux/arm/v6', 'linux/arm64'),
    'linux/arm/v6',
    'the next lesser arm',
  );
  t.equal(best('linux/arm/v7', 'linux/arm/v6', 'linux/arm'), 'linux/arm', 'arm without variant is v7');
  t.equal(
    best('linux/arm64', 'linux/arm/v7', 'linux/arm64/v8'),
    'linux/arm64/v8',
    'verbatim, matched in normal form',
  );
  t.equal(best('linux/arm64', 'linux/arm/v6', 'linux/arm/v7'), 'linux/arm/v7', '64-bit ARM runs 32-bit ARM');
  t.equal(best('linux/arm/v6', 'linux/arm/v7', 'linux/arm64'), undefined, 'never a greater one');
  t.equal(best('linux/amd64', 'linux/386', 'linux/amd64/v2'), 'linux/386');
  t.equal(best('linux/amd64/v3', 'linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'), 'linux/amd64/v2');
  t.equal(best('linux/arm64/v9', 'linux/arm64'), 'linux/arm64');
  t.equal(best('linux/amd64', 'windows/amd64', 'unknown/unknown'), undefined);
  t.equal(
    bestPlatformMatch(of('linux/amd64').platform, [{}]),
    undefined,
    'an entry without platform never matches',
  );

  const windows = (version: string): Platform => ({
    os: 'windows',
    architecture: 'amd64',
    'os.version': version,
  });
  t.equal(
    platformRank(windows('10.0.17763.1'), windows('10.0.17763.999')),
    0,
    'the revision does not matter',
  );
  t.equal(platformRank(windows('10.0.17763.1'), windows('10.0.20348.1')), undefined, 'the build does');
  t.ok(
    samePlatform(
      { os: 'linux', architecture: 'arm64', variant: 'v8' },
      { os: 'linux', architecture: 'aarch64' },
    ),
  );
  t.notOk(
    samePlatform({ os: 'linux', architecture: 'arm', variant: 'v6' }, { os: 'linux', architecture: 'arm' }),
  );
  t.end();
});

t.test('manifests', t => {
  const descriptor = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: `sha256:${HEX}`,
    size: 2,
  };
  const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptor, layers: [descriptor] };
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor] };
  const refuses = (
    value: unknown,
    servedAs: string | undefined,
    message: RegExp,
    code = 'ERR_SOCI_MANIFEST',
  ): void => {
    const bytes = value instanceof Uint8Array ? value : encode(value);
    t.throws(() => parseManifest(bytes, servedAs, 'it'), { code, message }, String(message));
  };

  t.match(parseManifest(encode(manifest), undefined, 'it'), { kind: 'manifest', layers: [{ size: 2 }] });
  t.match(
    parseManifest(encode({ ...index, future: { unknown: 1 } }), OCI_INDEX, 'it'),
    { kind: 'index' },
    'unknown members',
  );
  const { mediaType: _, ...untyped } = index;
  t.match(
    parseManifest(encode(untyped), OCI_INDEX, 'it'),
    { mediaType: OCI_INDEX },
    'typed by its descriptor',
  );
  t.match(
    parseManifest(encode(untyped), 'text/plain', 'it'),
    { mediaType: OCI_INDEX },
    'typed by its members',
  );
  t.match(
    parseManifest(encode({ ...manifest, layers: null }), OCI_MANIFEST, 'it'),
    { layers: [] },
    "Go's nil slice",
  );

  refuses({ ...index, layers: [] }, undefined, /could be an index or a manifest/);
  refuses({ ...untyped, config: descriptor }, OCI_MANIFEST, /could be an index or a manifest/);
  refuses(untyped, OCI_MANIFEST, /contradict its media type/);
  refuses(index, OCI_MANIFEST, /served as .* but declares/);
  refuses({ schemaVersion: 1, fsLayers: [] }, undefined, /schema 1/);
  refuses({ ...manifest, schemaVersion: 3 }, undefined, /expected schemaVersion 2, found 3/);
  refuses({ ...manifest, mediaType: 'application/json' }, undefined, /found media type "application\/json"/);
  refuses({}, undefined, /neither an image manifest/);
  refuses([], undefined, /expected an object/);
  refuses(null, undefined, /expected an object, found null/);
  refuses(Buffer.from('{"x": '), undefined, /not JSON/);
  refuses(Buffer.from([0x7b, 0xff, 0x7d]), undefined, /not JSON in UTF-8/);
  refuses(Buffer.alloc(5 * 1024 * 1024, 0x20), undefined, /more than the limit/, 'ERR_SOCI_LIMIT');
  refuses(Buffer.from('['.repeat(1_000_000)), undefined, /not JSON/);
  refuses(
    { ...manifest, layers: [{ ...descriptor, size: -1 }] },
    undefined,
    /it\.layers\[0\]\.size: expected a number of bytes, found -1/,
  );
  refuses({ ...manifest, layers: [{ ...descriptor, size: 2 ** 60 }] }, undefined, /layers\[0\]\.size/);
  refuses({ ...manifest, layers: [{ ...descriptor, size: '5' }] }, undefined, /found "5"/);
  refuses(
    { ...manifest, config: { ...descriptor, digest: 'sha256:../../x' } },
    undefined,
    /it\.config\.digest/,
  );
  refuses(
    { ...manifest, annotations: { a: 1 } },
    undefined,
    /annotations\["a"\]: expected a string, found 1/,
  );
  refuses(
    { ...index, manifests: Array(20_001).fill(descriptor) },
    undefined,
    /more than the limit/,
    'ERR_SOCI_LIMIT',
  );

  t.test('a platform stays as it was written', t => {
    const platform = { architecture: 'arm64', os: 'linux', variant: 'v8', extra: true };
    t.same(parseDescriptor({ ...descriptor, platform }, 'it').platform, platform);
    const nulls = { ...platform, 'os.version': null, 'os.features': null, variant: null };
    const { variant: _, ...rest } = platform;
    t.same(parseDescriptor({ ...descriptor, platform: nulls }, 'it').platform, rest, 'but for nulls');
    t.end();
  });
  t.test('what a document says is cut short in messages', t => {
    const long = 'x'.repeat(1_000_000);
    const documents: readonly (readonly [unknown, string | undefined])[] = [
      [{ ...manifest, mediaType: long }, undefined],
      [{ ...manifest, schemaVersion: long }, undefined],
      [{ ...manifest, mediaType: OCI_MANIFEST }, OCI_INDEX],
      [{ ...manifest, annotations: { [long]: 1 } }, undefined],
      [{ ...manifest, config: { ...descriptor, digest: long } }, undefined],
      [{ ...manifest, layers: long }, undefined],
    ];
    for (const [document, servedAs] of documents) {
      const error = t.throws(() => parseManifest(encode(document), servedAs, 'it')) as Error;
      t.ok(error.message.length < 1000, error.message.slice(0, 200));
    }
    t.end();
  });

  t.test('an annotation named __proto__ is just an annotation', t => {
    const parsed = parseDescriptor(
      JSON.parse(`{"mediaType":"a/b","digest":"sha256:${HEX}","size":1,"annotations":{"__proto__":"x"}}`),
      'it',
    );
    t.same(Object.entries(parsed.annotations ?? {}), [['__proto__', 'x']]);
    t.end();
  });
  t.equal(layerCompression('application/vnd.docker.image.rootfs.diff.tar.gzip'), 'gzip');
  t.equal(layerCompression('application/vnd.in-toto+json'), undefined);
  t.end();
});

t.test('challenges', t => {
  const parse = (header: string | string[]): unknown =>
    parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
  t.same(parse('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"'), [
    ['bearer', { realm: 'https://a/t', service: 's', scope: 'repository:x:pull,push' }],
  ]);
  t.same(parse('Basic realm=simple, Bearer realm="q\\"uoted",x=y'), [
    ['basic', { realm: 'simple' }],
    ['bearer', { realm: 'q"uoted', x: 'y' }],
  ]);
  t.same(parse(['Negotiate', 'basic  realm = "x" ']), [
    ['negotiate', {}],
    ['basic', { realm: 'x' }],
  ]);
  t.same(parse('Bearer realm="first",realm="second"'), [['bearer', { realm: 'first' }]]);
  t.same(parse('Bearer realm="unterminated'), [['bearer', { realm: 'unterminated' }]]);
  fc.assert(fc.property(fc.string(), text => Array.isArray(parseChallenges(text))));
  t.end();
});

t.test('scopes', t => {
  t.equal(repositoryScope('a/b', 'push'), 'repository:a/b:pull,push', 'pushing pulls too');
  t.same(mergeScopes(['repository:b:pull', 'repository:a:push', 'repository:a:pull']), [
    'repository:a:pull,push',
    'repository:b:pull',
  ]);
  t.ok(coversScopes(['repository:a:pull,push'], ['repository:a:pull']));
  t.notOk(coversScopes(['repository:a:pull'], ['repository:a:pull,push']));
  t.notOk(coversScopes(['repository:a:pull,push'], ['repository:b:pull']));
  t.ok(coversScopes(['repository:host:5000/a:*'], ['repository:host:5000/a:push']));
  t.end();
});
