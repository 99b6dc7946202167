/** The configuration file: what it means, what is refused, and what is only worth a warning. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  type Configuration,
  defaultConfiguration,
  parseConfiguration,
  readConfiguration,
} from '../../lib/configuration/configuration.js';
import { SociError } from '../../lib/errors.js';

const parse = (text: string): Promise<Configuration> => parseConfiguration(text, { path: 'config.toml' });
const parallel = async (lines: string): Promise<Configuration['pullModes']['parallelPullUnpack']> =>
  (await parse(`[pull_modes.parallel_pull_unpack]\n${lines}`)).pullModes.parallelPullUnpack;

async function refusal(text: string): Promise<string> {
  try {
    await parse(text);
  } catch (error) {
    if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_CONFIGURATION') throw error;
    return error.message;
  }
  return 'not refused';
}

t.test('a file that says nothing has the defaults of the reference', async t => {
  const { warnings, ...values } = await parse('');
  t.strictSame(warnings, []);
  t.strictSame(JSON.parse(JSON.stringify(values)), {
    httpCacheType: '',
    filesystemCacheType: '',
    resolveResultEntry: 30,
    debug: false,
    disableVerification: false,
    maxConcurrency: 100,
    noPrometheus: false,
    mountTimeoutSec: 30,
    fuseMetricsEmitWaitDurationSec: 60,
    metricsAddress: '',
    metricsNetwork: 'tcp',
    debugAddress: '',
    metadataStore: 'db',
    metadataDbNoSync: false,
    metadataInsertionChunkSize: 5000,
    skipCheckSnapshotterSupported: false,
    http: {
      dialTimeoutMsec: 3000,
      responseHeaderTimeoutMsec: 3000,
      requestTimeoutMsec: 300_000,
      maxRetries: 8,
      minWaitMsec: 30,
      maxWaitMsec: 300_000,
    },
    blob: {
      validInterval: 60,
      checkAlways: false,
      fetchingTimeoutSec: 300,
      maxRetries: 8,
      minWaitMsec: 30,
      maxWaitMsec: 300_000,
      forceSingleRangeMode: false,
      maxSpanVerificationRetries: 0,
    },
    directoryCache: { maxLruCacheEntry: 10, maxCacheFds: 10, syncAdd: false, direct: true },
    fuse: { attrTimeout: 1, entryTimeout: 1, negativeTimeout: 1, logFuseOperations: false },
    backgroundFetch: {
      disable: false,
      silencePeriodMsec: 30_000,
      fetchPeriodMsec: 500,
      maxQueueSize: 300,
      dropPolicy: 'newest',
      emitMetricPeriodSec: 10,
    },
    contentStore: { type: 'soci', containerdAddress: '/run/containerd/containerd.sock' },
    prefetch: { enable: false, maxConcurrency: 0 },
    pullModes: {
      sociV1: { enable: false },
      sociV2: { enable: true },
      parallelPullUnpack: {
        enable: false,
        maxConcurrentDownloads: -1,
        maxConcurrentDownloadsPerImage: 3,
        concurrentDownloadChunkSize: 0,
        maxConcurrentUnpacks: -1,
        maxConcurrentUnpacksPerImage: 1,
        discardUnpackedLayers: false,
        decompressStreams: {},
      },
    },
    kubeconfigKeychain: { enableKeychain: false, kubeconfigPath: '' },
    criKeychain: { enableKeychain: false, imageServicePath: '/run/containerd/containerd.sock' },
    resolver: { authClientTtlSec: 3600, enableAuthClientSharing: false, host: {} },
    snapshotter: { minLayerSize: 0, allowInvalidMountsOnRestart: false },
  });
  t.strictSame({ ...defaultConfiguration() }, { ...values, warnings: [] });
});

t.test('0 and "" are the defaults, where they mean nothing else', async t => {
  const zero = await parse(`
    resolve_result_entry = 0
    max_concurrency = 0
    mount_timeout_sec = 0
    metrics_network = ""
    metadata_store = ""
    [http]
    MaxRetries = 0
    [content_store]
    type = ""
    containerd_address = ""
    [background_fetch]
    max_queue_size = 0
    drop_policy = ""
    [pull_modes.parallel_pull_unpack]
    max_concurrent_downloads = 0
    max_concurrent_downloads_per_image = 0
  `);
  const limits = zero.pullModes.parallelPullUnpack;
  t.match(zero, {
    resolveResultEntry: 30,
    maxConcurrency: 100,
    metricsNetwork: 'tcp',
    metadataStore: 'db',
    contentStore: { type: 'soci', containerdAddress: '/run/containerd/containerd.sock' },
    backgroundFetch: { maxQueueSize: 300, dropPolicy: 'newest' },
    http: { maxRetries: 8 },
  });
  t.strictSame([limits.maxConcurrentDownloads, limits.maxConcurrentDownloadsPerImage], [0, 0]);
  t.equal((await parse('[http]\nMaxRetries = -1')).http.maxRetries, -1);
  t.equal((await parse('[http]\nRequestTimeoutMsec = -5')).http.requestTimeoutMsec, -5);
  t.equal((await parse('max_concurrency = -5')).maxConcurrency, -5);
});

t.test('[blob] takes from [http] what it does not say itself', async t => {
  const { blob } = await parse(
    '[blob]\nmin_wait_msec = 7\nmax_retries = 0\n[http]\nMaxRetries = 2\nMaxWaitMsec = 9',
  );
  t.match(blob, { maxRetries: 2, minWaitMsec: 7, maxWaitMsec: 9 });
  t.match((await parse('')).blob, { maxRetries: 8, minWaitMsec: 30, maxWaitMsec: 300_000 });
});

t.test(
  'names of keys match whatever the case of their letters; names that are the user’s do not',
  async t => {
    t.equal((await parse('[HTTP]\nmaxretries = 4')).http.maxRetries, 4);
    t.equal((await parse('DEBUG = true')).debug, true);
    const { host } = (await parse('[resolver.host."A"]\n[resolver.host."a"]\nmirrors = []')).resolver;
    t.strictSame(Object.keys(host), ['A', 'a']);
    t.equal((await parse('debug = true\nDebug = true')).debug, true);
    t.equal(
      await refusal('debug = true\nDebug = false'),
      'config.toml: one key, and two values: debug = true, Debug = false',
    );
    t.match(
      await refusal('[http]\n[HTTP]'),
      /^config.toml: http and HTTP are one table, which may be there once$/,
    );
  },
);

t.test('the fallback has two spellings, and may be absent', async t => {
  t.equal((await parallel('')).parallelPullAsFallback, undefined);
  t.equal((await parallel('parallel_pull_as_fallback = false')).parallelPullAsFallback, false);
  t.equal((await parallel('experimental_parallel_pull_as_fallback = true')).parallelPullAsFallback, true);
  const both = (one: string, other: string): string =>
    `[pull_modes.parallel_pull_unpack]\nparallel_pull_as_fallback = ${one}\nexperimental_parallel_pull_as_fallback = ${other}`;
  t.equal((await parse(both('true', 'true'))).pullModes.parallelPullUnpack.parallelPullAsFallback, true);
  const names = ['', 'experimental_'].map(
    prefix => `pull_modes.parallel_pull_unpack.${prefix}parallel_pull_as_fallback`,
  );
  t.equal(
    await refusal(both('true', 'false')),
    `config.toml: one key, and two values: ${names[0]} = true, ${names[1]} = false`,
  );
});

t.test('sizes', async t => {
  const sizes: readonly (readonly [text: string, bytes: number])[] = [
    ['', 0],
    ['0', 0],
    ['0.4', 0],
    ['8', 8],
    ['8b', 8],
    ['8mb', 8 * 2 ** 20],
    ['8MB', 8 * 2 ** 20],
    [' 8 \t Mb ', 8 * 2 ** 20],
    ['1.5kb', 1536],
    ['0.3kb', 307],
    ['2gb', 2 ** 31],
    ['1024GB', 2 ** 40],
    ['008kb', 8192],
  ];
  for (const [text, bytes] of sizes) {
    t.equal(
      (await parallel(`concurrent_download_chunk_size = ${JSON.stringify(text)}`))
        .concurrentDownloadChunkSize,
      bytes,
      text,
    );
  }
  const key = 'config.toml: pull_modes.parallel_pull_unpack.concurrent_download_chunk_size';
  const refused = (value: string): Promise<string> =>
    refusal(`[pull_modes.parallel_pull_unpack]\nconcurrent_download_chunk_size = ${value}`);
  for (const text of [
    '8MiB',
    '8m',
    '-1',
    '-1mb',
    '1e3',
    '.5',
    '5.',
    '8 8',
    ' ',
    'mb',
    '0x8',
    '+8',
    '8\u00a0mb',
    '8\u{ff4d}b',
  ]) {
    const message = await refused(JSON.stringify(text));
    t.ok(message.startsWith(`${key}: invalid size format: ${text}`), message);
  }
  t.match(await refused(`"1${' '.repeat(100_000)}x"`), /invalid size format: 1 {63} /);
  t.match(await refused(`"${'9'.repeat(60)}gb"`), `${key}: expected at most 1024gb, found "999`);
  t.equal(await refused('"1025gb"'), `${key}: expected at most 1024gb, found "1025gb"`);
  t.equal(await refused('8'), `${key}: expected a size in quotes, such as "8mb", found 8`);
});

t.test('limits of an image are within those of all, in the words of the reference', async t => {
  const key = 'config.toml: pull_modes.parallel_pull_unpack: ';
  const limits = (lines: string): Promise<string> => refusal(`[pull_modes.parallel_pull_unpack]\n${lines}`);
  t.equal(
    await limits('max_concurrent_downloads = 2'),
    `${key}global download limit less than per-image download limit (max_concurrent_downloads = 2, max_concurrent_downloads_per_image = 3)`,
  );
  t.match(
    await limits(
      'max_concurrent_unpacks = 1\nmax_concurrent_unpacks_per_image = 2\nmax_concurrent_downloads = 1',
    ),
    /global download limit less than per-image download limit .*; global unpack limit less than per-image unpack limit /,
  );
  for (const total of [-1, 0, 3]) t.ok(await parallel(`max_concurrent_downloads = ${total}`));
  t.ok(
    await parallel('max_concurrent_downloads = 1\nmax_concurrent_downloads_per_image = -1'),
    'as the reference',
  );
});

t.test('decompressors', async t => {
  const { decompressStreams } = await parallel(
    'decompress_streams.gzip = { path = "/usr/bin/unpigz", args = ["-c"] }\ndecompress_streams.zstd.path = "/z"',
  );
  t.strictSame(
    { ...decompressStreams },
    { gzip: { path: '/usr/bin/unpigz', args: ['-c'] }, zstd: { path: '/z', args: [] } },
  );
  const streams = '[pull_modes.parallel_pull_unpack.decompress_streams';
  const key = 'config.toml: pull_modes.parallel_pull_unpack.decompress_streams';
  t.equal(await refusal(`${streams}.gzip]\nargs = []`), `${key}.gzip.path: expected a string, found nothing`);
  t.equal(
    await refusal(`${streams}.gzip]\npath = "/x"\nargs = ["a", 1]`),
    `${key}.gzip.args[1]: expected a string, found 1`,
  );
  t.equal(await refusal(`${streams}]\ngzip = "/x"`), `${key}.gzip: expected a table, found "/x"`);
  t.strictSame((await parse(`${streams}.xz]\npath = "/x"`)).warnings, [
    'config.toml: without meaning here: decompress_streams.xz',
  ]);
});

t.test('mirrors', async t => {
  const { host } = (
    await parse(`
    [resolver]
    auth_client_ttl_sec = -1
    [[resolver.host."docker.io".mirrors]]
    host = "https://mirror.example"
    [[resolver.host."docker.io".mirrors]]
    host = "10.0.0.1:5000"
    insecure = true
    request_timeout_sec = -1
  `)
  ).resolver;
  t.strictSame(host['docker.io']?.mirrors, [
    { host: 'https://mirror.example', insecure: false, requestTimeoutSec: 0 },
    { host: '10.0.0.1:5000', insecure: true, requestTimeoutSec: -1 },
  ]);
  t.equal(host['constructor'], undefined);
  const key = 'config.toml: resolver.host."docker.io".mirrors';
  const mirror = (lines: string): Promise<string> =>
    refusal(`[[resolver.host."docker.io".mirrors]]\n${lines}`);
  for (const bad of ['', 'ftp://m', 'http://', 'a b', 'unix:///run/x']) {
    t.equal(
      await mirror(`host = ${JSON.stringify(bad)}`),
      `${key}[0].host: expected a URL such as "https://mirror.example", found ${JSON.stringify(bad)}`,
    );
  }
  t.equal(
    await mirror('host = "https://user:secret@mirror"'),
    `${key}[0].host: expected a URL without credentials`,
    'which is not shown',
  );
  t.equal(await mirror(''), `${key}[0].host: expected a string, found nothing`);
  t.equal(
    await refusal('[resolver.host."docker.io"]\nmirrors = 1'),
    `${key}: expected an array of tables, found 1`,
  );
  t.equal(
    await refusal('[resolver.host."docker.io"]\nmirrors = [1]'),
    `${key}[0]: expected a table, found 1`,
  );
});

t.test('what is of another type, or out of bounds', async t => {
  const cases: readonly (readonly [text: string, message: string])[] = [
    ['debug = 1', 'debug: expected true or false, found 1'],
    ['debug = "true"', 'debug: expected true or false, found "true"'],
    ['debug = 1979-05-27', 'debug: expected true or false, found a date'],
    ['debug = []', 'debug: expected true or false, found an array'],
    ['debug = {}', 'debug: expected true or false, found a table'],
    ['http = 1', 'http: expected a table, found 1'],
    ['http = 1979-05-27', 'http: expected a table, found a date'],
    ['[[http]]', 'http: expected a table, found an array'],
    ['max_concurrency = 1.0', 'max_concurrency: expected an integer within 2^53, found the float 1'],
    ['max_concurrency = inf', 'max_concurrency: expected an integer within 2^53, found the float Infinity'],
    [
      'max_concurrency = 9007199254740992',
      'max_concurrency: expected an integer within 2^53, found 9007199254740992',
    ],
    ['mount_timeout_sec = -1', 'mount_timeout_sec: expected an integer of 0 to 2147483, found -1'],
    [
      '[http]\nDialTimeoutMsec = 2147483648',
      'http.DialTimeoutMsec: expected an integer of 0 to 2147483647, found 2147483648',
    ],
    [
      '[http]\nRequestTimeoutMsec = 2147483648',
      'http.RequestTimeoutMsec: expected an integer of at most 2147483647, found 2147483648',
    ],
    [
      '[background_fetch]\ndrop_policy = "random"',
      'background_fetch.drop_policy: expected "newest" or "oldest", found "random"',
    ],
    ['[content_store]\ntype = "s3"', 'content_store.type: expected "soci" or "containerd", found "s3"'],
    ['metrics_address = 9', 'metrics_address: expected a string, found 9'],
    [
      '[content_store]\ncontainerd_address = "unix://"',
      'content_store.containerd_address: expected the path of a socket, found "unix://"',
    ],
  ];
  for (const [text, message] of cases) t.equal(await refusal(text), `config.toml: ${message}`, text);
  t.equal((await parse('max_concurrency = 0x7fffffff')).maxConcurrency, 2 ** 31 - 1);
  t.equal(
    (await parse('[snapshotter]\nmin_layer_size = 9007199254740991')).snapshotter.minLayerSize,
    2 ** 53 - 1,
  );
  t.equal(
    (await parse('[content_store]\ncontainerd_address = "unix:///run/x"')).contentStore.containerdAddress,
    '/run/x',
  );
  t.match(await refusal(`debug = "${'x'.repeat(5000)}"`), /found "x{100}…"$/);
  t.match(
    await refusal(`max_concurrency = 1${'0'.repeat(5000)}`),
    /found an integer of more than 30 digits$/,
  );
});

t.test('what is no TOML is told by its line', async t => {
  await t.rejects(parse('debug = true\nhttp = {'), {
    code: 'ERR_SOCI_CONFIGURATION',
    message: /^config.toml: line 2, column \d+: not TOML: [^\n]+$/,
    data: { path: 'config.toml', line: 2 },
  });
  t.match(await refusal('debug = true\ndebug = false'), /^config.toml: line 2, column 1: not TOML: /);
  await t.rejects(parseConfiguration('x'), { message: /^the configuration: line 1, / });
  await t.rejects(parseConfiguration(1 as never), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});

t.test('warnings', async t => {
  t.strictSame((await parse('[http]\nMaxRetrys = 1\n[pul_modes.x]\ny = 1\n[metrics]\n"a b" = 1')).warnings, [
    'config.toml: unknown key pul_modes: did you mean pull_modes?',
    'config.toml: unknown key metrics',
    'config.toml: unknown key http.MaxRetrys: did you mean MaxRetries?',
  ]);
  t.strictSame(
    (
      await parse(
        'metadata_store = "db-multi"\nhttp_cache_type = ""\n[directory_cache]\ndirect = false\nsync_add = false',
      )
    ).warnings,
    ['config.toml: without meaning here: metadata_store, directory_cache.direct'],
    'one for all that make no difference, and none for what changes nothing',
  );
  const many = (await parse(Array.from({ length: 1000 }, (_, at) => `unknown_${at} = 1`).join('\n')))
    .warnings;
  t.equal(many.length, 21);
  t.equal(many.at(-1), 'config.toml: 980 more unknown keys');
  const needs = /^config.toml: parallel pulls need neither .* the reference would not start$/;
  t.match((await parse('[pull_modes.parallel_pull_unpack]\nenable = true')).warnings, [needs]);
  t.match((await parse('[pull_modes.parallel_pull_unpack]\nparallel_pull_as_fallback = true')).warnings, [
    needs,
  ]);
  for (const other of ['discard_unpacked_layers = true', '[content_store]\ntype = "containerd"']) {
    t.strictSame((await parse(`[pull_modes.parallel_pull_unpack]\nenable = true\n${other}`)).warnings, []);
  }
});

t.test('names that objects have by themselves are names like others', async t => {
  const { warnings, resolver } = await parse(`
    __proto__ = { debug = true }
    constructor = 1
    [resolver.host.__proto__]
    mirrors = [{ host = "https://m", __proto__ = 1 }]
    [pull_modes.parallel_pull_unpack.decompress_streams.__proto__]
    path = "/x"
  `);
  t.strictSame(warnings, [
    'config.toml: unknown key __proto__',
    'config.toml: unknown key constructor',
    'config.toml: unknown key resolver.host.__proto__.mirrors[0].__proto__',
    'config.toml: without meaning here: decompress_streams.__proto__',
  ]);
  t.strictSame(Object.keys(resolver.host), ['__proto__']);
  t.equal(({} as { debug?: boolean }).debug, undefined);
});

t.test('it does not change', async t => {
  const configuration = await parse('[[resolver.host.a.mirrors]]\nhost = "https://m"');
  const frozen = (value: unknown): boolean =>
    typeof value !== 'object' ||
    value === null ||
    (Object.isFrozen(value) && Object.values(value).every(frozen));
  t.ok(frozen(configuration));
});

t.test('files', async t => {
  const folder = t.testdir({
    'config.toml': '\ufeffdebug = true\r\n',
    'latin1.toml': '',
    'huge.toml': '#'.repeat(256 * 1024 + 1),
    directory: {},
  });
  const file = join(folder, 'config.toml');
  writeFileSync(join(folder, 'latin1.toml'), Buffer.from([0x23, 0xe9]));
  t.equal((await readConfiguration(file)).debug, true);
  const refused = async (name: string, message: string, data = {}): Promise<void> => {
    const path = join(folder, name);
    await t.rejects(readConfiguration(path), {
      code: 'ERR_SOCI_CONFIGURATION',
      message: `${path}: ${message}`,
      data: { path, ...data },
    });
  };
  await refused('missing.toml', 'cannot be read (ENOENT)', { reason: 'ENOENT' });
  await refused('directory', 'cannot be read (EISDIR)', { reason: 'EISDIR' });
  await refused('latin1.toml', 'expected UTF-8, found other bytes');
  await refused('huge.toml', 'expected at most 262144 bytes, found more');
  await t.rejects(readConfiguration('/dev/zero'), {
    message: '/dev/zero: expected at most 262144 bytes, found more',
  });
  await t.rejects(readConfiguration(file, { signal: AbortSignal.abort(new Error('left')) }), {
    message: 'left',
  });
  await t.rejects(readConfiguration(1 as never), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});

t.test('a pipe that nobody writes to can be left', async t => {
  const pipe = join(t.testdir({}), 'pipe');
  execFileSync('mkfifo', [pipe]);
  const controller = new AbortController();
  const reading = readConfiguration(pipe, { signal: controller.signal });
  controller.abort(new Error('left'));
  await t.rejects(reading, { message: 'left' });
  // Lets the thread go that opens it.
  writeFileSync(pipe, '');
});
