import t from 'tap';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { nextPage } from '../../lib/registry/link-header.js';
import {
  DOCKER_MANIFEST_LIST as DOCKER_LIST,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../lib/registry/media-types.js';
import { referrersTag } from '../../lib/registry/referrers-tag.js';
import type { HttpReply } from '../../lib/source/http/message.js';
import {
  encodeIndex,
  failure,
  openRepository,
  pushArtifact,
  pushImage,
  sampleBytes,
  startRegistry,
  startTransport,
} from './fixture.js';

const SOCI = 'application/vnd.amazon.soci.index.v1+json';
const OTHER = 'application/vnd.example.signature';
const LAYER = sampleBytes(1000);

t.test('with the API', async t => {
  const registry = await startRegistry(t, { pageSize: 2 });
  const repository = openRepository(startTransport(t), registry);
  const image = await pushImage(repository, LAYER, { tag: 'v1' });
  t.same(await repository.referrers(image.digest), []);
  const pushed: Descriptor[] = [];
  for (const note of ['1', '2', '3', '4', '5']) {
    pushed.push(await pushArtifact(repository, image, note === '3' ? OTHER : SOCI, note));
  }
  t.equal(
    registry.requests.some(({ method, path }) => method !== 'GET' && path.includes('/manifests/sha256-')),
    false,
    'no fallback tag is written',
  );

  t.test('all pages are read, and their order is kept', async t => {
    registry.requests.length = 0;
    const found = await repository.referrers(image.digest);
    t.same(
      found.map(({ digest }) => digest),
      pushed.map(({ digest }) => digest),
    );
    t.equal(registry.requests.length, 3);
    t.match(
      found.find(({ digest }) => digest === pushed[0]?.digest),
      { artifactType: SOCI, annotations: { note: '1' } },
    );
  });

  t.test('the filter holds, whether or not the registry applied it', async t => {
    const filtered = await repository.referrers(image.digest, { artifactType: OTHER });
    t.same(
      filtered.map(({ digest }) => digest),
      [pushed[2]?.digest],
    );
    const all = encodeIndex(await repository.referrers(image.digest));
    registry.inject({
      match: { path: '/referrers/' },
      reply: { status: 200, headers: { 'content-type': OCI_INDEX }, body: all },
    });
    t.same((await repository.referrers(image.digest, { artifactType: OTHER })).length, 1);
    registry.clearFaults();
  });

  t.test('"could not ask" is not "none"', async t => {
    registry.inject({ match: { path: '/referrers/' }, reply: { status: 403, headers: {} } });
    t.match(await failure(repository.referrers(image.digest)), { code: 'ERR_SOCI_REGISTRY_DENIED' });
    registry.clearFaults();
    registry.inject({ match: { path: '/referrers/' }, reply: { status: 429, headers: {} } });
    t.match(await failure(repository.referrers(image.digest)), {
      code: 'ERR_SOCI_HTTP_STATUS',
      data: { status: 429 },
    });
    registry.clearFaults();
    const body = Buffer.from('{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}');
    registry.inject({ match: { path: '/referrers/' }, reply: { status: 404, headers: {}, body } });
    t.match(await failure(repository.referrers(image.digest)), { code: 'ERR_SOCI_REGISTRY_NOT_FOUND' });
    registry.clearFaults();
  });

  t.test('pages lead nowhere else and come to an end', async t => {
    registry.inject({
      match: { path: '/referrers/' },
      headers: { link: '<https://evil.example/x>; rel="next"' },
    });
    t.match(await failure(repository.referrers(image.digest)), { code: 'ERR_SOCI_REGISTRY_PROTOCOL' });
    registry.clearFaults();
    let page = 0;
    registry.inject({
      match: { path: '/referrers/' },
      reply: ({ path }) => ({
        status: 200,
        headers: { 'content-type': OCI_INDEX, link: `<${path}?page=${++page}>; rel="next"` },
        body: encodeIndex([]),
      }),
    });
    t.match(await failure(repository.referrers(image.digest)), { code: 'ERR_SOCI_LIMIT' });
    registry.clearFaults();
  });

  t.test('few referrers with much to say are too many as well', async t => {
    let pages = 0;
    registry.inject({
      match: { path: '/referrers/' },
      reply: ({ path }) => ({
        status: 200,
        headers: { 'content-type': OCI_INDEX, link: `<${path}?page=${++pages}>; rel="next"` },
        body: encodeIndex([{ ...image, annotations: { note: 'x'.repeat(4_000_000) } }]),
      }),
    });
    t.match(await failure(repository.referrers(image.digest)), { code: 'ERR_SOCI_LIMIT' });
    t.ok(pages < 20, 'it ends long before the last page');
    registry.clearFaults();
  });
});

t.test('odd answers mean that there is no API', async t => {
  const registry = await startRegistry(t, { referrers: false });
  const writer = openRepository(startTransport(t), registry);
  const image = await pushImage(writer, LAYER, { tag: 'v1' });
  const artifact = await pushArtifact(writer, image, SOCI);
  const html = Buffer.from('<html>log in</html>');
  const answers = {
    'a login page': { status: 200, headers: { 'content-type': 'text/html' }, body: html },
    'a redirect to a login page': { status: 302, headers: { location: 'https://accounts.example/login' } },
    'a 303 to a web site': { status: 303, headers: { location: '/rate-limited' } },
    'plain not found': { status: 404, headers: {}, body: html },
    'method not allowed': { status: 405, headers: {} },
    'not implemented': { status: 501, headers: {} },
  };
  for (const [name, reply] of Object.entries(answers)) {
    registry.clearFaults();
    registry.inject({ match: { path: '/referrers/' }, reply });
    const repository = openRepository(startTransport(t), registry);
    t.match(
      await repository.referrers(image.digest, { artifactType: SOCI }),
      [{ digest: artifact.digest }],
      name,
    );
    registry.requests.length = 0;
    await repository.referrers(image.digest);
    t.equal(
      registry.requests.some(({ path }) => path.includes('/referrers/')),
      false,
      'which is remembered',
    );
  }
});

t.test('with the tag schema', async t => {
  const registry = await startRegistry(t, { referrers: false });
  const repository = openRepository(startTransport(t), registry);
  const image = await pushImage(repository, LAYER, { tag: 'v1' });
  const tag = referrersTag(image.digest);
  t.equal(tag, image.digest.replace(':', '-'));
  t.same(await repository.referrers(image.digest), []);
  const first = await pushArtifact(repository, image, SOCI, 'first');
  const second = await pushArtifact(repository, image, OTHER, 'second');
  t.same(
    (await repository.referrers(image.digest)).map(({ digest }) => digest),
    [first.digest, second.digest],
  );
  t.same(
    (await repository.referrers(image.digest, { artifactType: SOCI })).map(({ digest }) => digest),
    [first.digest],
  );
  const { manifest } = await repository.getManifest(tag);
  t.match(manifest, {
    kind: 'index',
    manifests: [{ digest: first.digest, artifactType: SOCI, annotations: { note: 'first' } }, {}],
  });

  t.test('pushing again adds nothing', async t => {
    await pushArtifact(repository, image, SOCI, 'first');
    t.equal((await repository.referrers(image.digest)).length, 2);
  });

  t.test('of writers that overwrite each other none is lost', async t => {
    const writers = Array.from({ length: 3 }, () => openRepository(startTransport(t), registry));
    const pushed = await Promise.all(
      writers.map((writer, at) => pushArtifact(writer, image, SOCI, `writer ${at}`)),
    );
    const found = (await repository.referrers(image.digest)).map(({ digest }) => digest);
    t.same(
      pushed.map(({ digest }) => found.includes(digest)),
      [true, true, true],
    );
  });

  t.test('an addition that never stays is reported', async t => {
    registry.inject({ match: { method: 'PUT', path: tag }, reply: { status: 201, headers: {} } });
    t.match(await failure(pushArtifact(repository, image, SOCI, 'lost')), {
      code: 'ERR_SOCI_REGISTRY_PROTOCOL',
      message: /another writer/,
    });
  });
});

t.test('what is under the fallback tag but no image index is no list of referrers', async t => {
  const served = { status: 200, headers: { 'content-type': OCI_INDEX } };
  const list = encodeIndex([]);
  for (const [name, reply] of Object.entries({
    'the subject, as GitLab serves it': (_: string, subject: Uint8Array) => ({ ...served, body: subject }),
    'a page': () => ({
      status: 200,
      headers: { 'content-type': 'text/html' },
      body: Buffer.from('<html>log in</html>'),
    }),
    "a refusal, which is Artifactory's 404": () => ({ status: 403, headers: {} }),
    "docker's list of manifests": () => ({
      status: 200,
      headers: { 'content-type': DOCKER_LIST },
      body: Buffer.from(Buffer.from(list).toString().replace(OCI_INDEX, DOCKER_LIST)),
    }),
  })) {
    const registry = await startRegistry(t, { referrers: false });
    const repository = openRepository(startTransport(t), registry);
    const image = await pushImage(repository, LAYER, { tag: 'v1' });
    const tag = referrersTag(image.digest);
    const subject = (await repository.getManifest('v1')).bytes;
    let written = false;
    registry.inject({
      match: ({ method, path }) => {
        if (method === 'PUT' && path.endsWith(tag)) written = true;
        return method === 'GET' && path.endsWith(tag) && !written;
      },
      reply: () => reply(tag, subject),
    });
    t.same(await repository.referrers(image.digest), [], name);
    const artifact = await pushArtifact(repository, image, SOCI);
    const lists = registry.requests.filter(({ method, path }) => method === 'PUT' && path.endsWith(tag));
    t.match(
      lists.map(({ body }) => JSON.parse(Buffer.from(body).toString())),
      [{ mediaType: OCI_INDEX, manifests: [{ digest: artifact.digest }] }],
      'and nothing of it is written back',
    );
    t.equal(lists.length, 1);
    t.match(await repository.referrers(image.digest), [{ digest: artifact.digest }]);
  }
});

t.test('an image index may have referrers, and is no list of its own', async t => {
  const registry = await startRegistry(t, { referrers: false });
  const repository = openRepository(startTransport(t), registry);
  const image = await pushImage(repository, LAYER, { tag: 'v1' });
  const root = await repository.pushManifest(encodeIndex([image]), OCI_INDEX, { tag: 'all' });
  registry.inject({
    match: { method: 'GET', path: referrersTag(root.digest) },
    reply: { status: 200, headers: { 'content-type': OCI_INDEX }, body: encodeIndex([image]) },
  });
  t.same(await repository.referrers(root.digest), []);
});

t.test('a list that is too long to be read is not replaced', async t => {
  const registry = await startRegistry(t, { referrers: false });
  const repository = openRepository(startTransport(t), registry);
  const image = await pushImage(repository, LAYER, { tag: 'v1' });
  const tag = referrersTag(image.digest);
  registry.inject({
    match: { method: 'GET', path: tag },
    reply: { status: 200, headers: { 'content-type': OCI_INDEX }, body: Buffer.alloc(5 * 2 ** 20, ' ') },
  });
  t.match(await failure(pushArtifact(repository, image, SOCI)), { code: 'ERR_SOCI_LIMIT' });
  t.notOk(registry.requests.some(({ method, path }) => method === 'PUT' && path.endsWith(tag)));
});

t.test('a list that lost the artifact types when it was copied', async t => {
  const registry = await startRegistry(t, { referrers: false });
  const repository = openRepository(startTransport(t), registry);
  const image = await pushImage(repository, LAYER, { tag: 'v1' });
  const soci = await pushArtifact(repository, image, SOCI);
  const other = await pushArtifact(repository, image, OTHER);
  const bare = [soci, other].map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
  const gone = { mediaType: OCI_MANIFEST, digest: `sha256:${'0'.repeat(64)}`, size: 100 };
  const large = { mediaType: OCI_MANIFEST, digest: `sha256:${'1'.repeat(64)}`, size: 1_000_000 };
  const many = Array.from({ length: 100 }, (_, i) => ({
    ...gone,
    digest: `sha256:${String(i).padStart(64, 'a')}`,
  }));
  registry.inject({
    match: { method: 'GET', path: referrersTag(image.digest) },
    reply: {
      status: 200,
      headers: { 'content-type': OCI_INDEX },
      body: encodeIndex([...bare, gone, large, ...many]),
    },
  });
  registry.requests.length = 0;
  t.same(await repository.referrers(image.digest, { artifactType: SOCI }), [
    { ...bare[0], artifactType: SOCI },
  ]);
  const asked = registry.requests.map(({ path }) => path.split('/').at(-1));
  t.notOk(asked.includes(large.digest), 'by their manifests, if those are small');
  const others = asked.filter(name => name?.startsWith('sha256:') && name !== image.digest);
  t.equal(others.length, 32, 'and few');
});

t.test('links to the next page', t => {
  const next = (link: string): string | undefined => {
    const answer = {
      header: () => link,
      url: new URL('https://r.example/v2/a/tags/list'),
    } as unknown as HttpReply;
    return nextPage(answer)?.href;
  };
  t.equal(next('</v2/a/tags/list?last=b&n=2>; rel="next"'), 'https://r.example/v2/a/tags/list?last=b&n=2');
  t.equal(next('<?last=x,y>; rel=next'), 'https://r.example/v2/a/tags/list?last=x,y');
  t.equal(next('</first>; rel="first", </n>; rel="next"; title="x"'), 'https://r.example/n');
  t.equal(next('</p>; rel="prev"'), undefined);
  t.equal(next('</p>; rel="nextish"'), undefined);
  t.equal(next('</n> ; REL = "prev  Next"'), 'https://r.example/n');
  t.equal(next('</p>; title="next"; rel="prev"'), undefined);
  t.equal(next(''), undefined);
  // A parser that backtracks takes minutes over this.
  const tiresome = `${' '.repeat(1500)}${`next${' '.repeat(30)}`.repeat(180)}"x`;
  t.equal(next(`</n>; rel=${tiresome}`), 'https://r.example/n');
  t.throws(() => next('<//evil.example/x>; rel="next"'), { code: 'ERR_SOCI_REGISTRY_PROTOCOL' });
  t.throws(
    () => next('<http://r.example/x>; rel="next"'),
    { code: 'ERR_SOCI_REGISTRY_PROTOCOL' },
    'another scheme is another origin',
  );
  t.end();
});
