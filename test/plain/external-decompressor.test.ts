/** Programs that decompress layers: what may be one, what goes through one, and all that one may do instead. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { SociError } from '../../lib/errors.js';
import { checkDecompressor, type Decompressor } from '../../lib/plain/decompressor-check.js';
import { externalDecompressor } from '../../lib/plain/external-decompressor.js';

const KEY = 'decompress_streams.gzip';
const PLENTY = 2 ** 30;
/** For programs that stand still: the others are done long before. */
const SOON = 300;

/** A program in the shell's words; `$1` is a file that it may leave word in. */
async function script(t: Test, body: string): Promise<{ tool: Decompressor; word: string }> {
  const folder = t.testdir({ tool: `#!/bin/sh\n${body}\n` });
  chmodSync(join(folder, 'tool'), 0o755);
  const word = join(folder, 'word');
  return { tool: await checkDecompressor(KEY, { path: join(folder, 'tool'), args: [word] }), word };
}

async function* chunksOf(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Zeros without end. */
async function* endless(): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) yield new Uint8Array(65_536);
}

async function output(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const list: Uint8Array[] = [];
  for await (const chunk of chunks) list.push(chunk);
  return Buffer.concat(list);
}

async function failure(promise: Promise<unknown>): Promise<SociError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SociError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The process whose number `file` has is gone, and was waited for, if not at once then soon: init may have to. */
async function gone(t: Test, file: string): Promise<void> {
  const pid = Number(readFileSync(file, 'utf8'));
  t.ok(pid > 1);
  for (let rounds = 0; isAlive(pid) && rounds < 500; rounds++) await delay(10);
  t.notOk(isAlive(pid));
}

async function written(file: string): Promise<void> {
  while (!existsSync(file) || readFileSync(file, 'utf8') === '') await delay(5);
}

/** Incompressible enough to fill pipes, and of odd length. */
function sample(bytes: number): Buffer {
  const data = Buffer.alloc(bytes);
  for (let at = 0, state = 1; at < bytes; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    data[at] = state >>> 24;
  }
  return data;
}

t.test('what may be a decompressor', async t => {
  const folder = t.testdir({ tool: '#!/bin/sh\ncat\n', text: 'no program', directory: {} });
  const tool = join(folder, 'tool');
  chmodSync(tool, 0o755);
  symlinkSync('tool', join(folder, 'link'));
  symlinkSync('loop', join(folder, 'loop'));
  mkdirSync(join(folder, 'a;b'));
  t.strictSame(await checkDecompressor(KEY, { path: join(folder, 'link'), args: ['-c', '$HOME'] }), {
    path: tool,
    args: ['-c', '$HOME'],
    key: KEY,
  });
  const refused = async (path: string, message: string | RegExp): Promise<void> => {
    const found = await failure(checkDecompressor(KEY, { path, args: [] }));
    t.equal(found.code, 'ERR_SOCI_CONFIGURATION');
    t.match(found.message, message);
    t.match(found.data, { key: `${KEY}.path` });
  };
  await refused('unpigz', `${KEY}.path: expected an absolute path, found "unpigz"`);
  await refused('', `${KEY}.path: expected an absolute path, found ""`);
  await refused('./tool', 'expected an absolute path');
  for (const special of '#%{}\\|;&$<>') {
    await refused(
      `${folder}/x${special}y`,
      `expected a path without # % { } \\ | ; & $ < >, found ${special} in `,
    );
  }
  await refused(join(folder, 'a;b', 'tool'), 'found ; in');
  await refused(`${tool}\0`, 'expected a path');
  await refused(`/${'x'.repeat(5000)}`, 'expected a path');
  await refused(join(folder, 'missing'), `missing" (ENOENT, `);
  await refused(join(folder, 'text'), `text" (EACCES, access)`);
  await refused(join(folder, 'loop'), 'ELOOP');
  await refused(
    join(folder, 'directory'),
    `expected a regular file, found the directory ${join(folder, 'directory')}`,
  );
  await refused('/dev/null', 'expected a regular file, found /dev/null');
  const bad = async (args: string[], message: string): Promise<void> => {
    const found = await failure(checkDecompressor(KEY, { path: tool, args }));
    t.match(found, { code: 'ERR_SOCI_CONFIGURATION', message });
  };
  await bad(['-c', 'a\0b'], `${KEY}.args: expected arguments without NUL, found one in [1]`);
  await bad(
    ['x'.repeat(131_072)],
    `${KEY}.args: expected arguments of at most 131071 bytes, found 131072 in [0]`,
  );
  await bad(Array(1025).fill(''), `${KEY}.args: expected at most 1024 arguments, found 1025`);
});

for (const [name, args, pack] of [
  ['unpigz', ['-c'], gzipSync],
  ['igzip', ['-d', '-c'], gzipSync],
  [
    'zstd',
    ['-d', '-c'],
    (data: Buffer) => spawnSync('/usr/bin/zstd', ['-c'], { input: data, maxBuffer: PLENTY }).stdout,
  ],
] as const) {
  const path = `/usr/bin/${name}`;
  t.test(`through ${name}`, { skip: !existsSync(path) && `${path} is not installed` }, async t => {
    const data = sample(5_000_001);
    const decompressor = externalDecompressor(await checkDecompressor(KEY, { path, args }));
    const packed = pack(data);
    for (const size of [7777, 65_536, PLENTY]) {
      t.ok(
        (await output(decompressor.decompress(chunksOf(packed, size), { maxBytes: data.length }))).equals(
          data,
        ),
      );
    }
    const broken = Buffer.from(packed);
    broken.fill(0x55, 1_000_000, 1_100_000);
    const cut = packed.subarray(0, packed.length / 2);
    for (const bytes of [broken, cut, Buffer.from('no such thing')]) {
      const found = await failure(output(decompressor.decompress(chunksOf(bytes), { maxBytes: PLENTY })));
      t.match(found, { code: 'ERR_SOCI_DECOMPRESSOR', data: { key: KEY, path: /./, stderr: /./ } });
      t.ok(found.message.startsWith(`${KEY}: ${found.data['path']} ended with status `), found.message);
    }
  });
}

t.test('nothing is inherited, and no shell looks at the arguments', async t => {
  const { tool } = await script(t, 'cat; pwd; env | sort; shift; printf "%s\\n" "$@"');
  const args = [...tool.args, '$HOME', '`id`', "'", '', '*'];
  const text = await output(
    externalDecompressor({ ...tool, args }).decompress(chunksOf(Buffer.from('in\n')), { maxBytes: PLENTY }),
  );
  const lines = text.toString().split('\n');
  t.strictSame(
    // What a shell sets by itself, and Node where coverage is measured.
    lines.filter(line => !/^(?:PWD|OLDPWD|SHLVL|_|NODE_V8_COVERAGE)=/.test(line)),
    [
      'in',
      '/',
      'LANG=C',
      'LC_ALL=C',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ...args.slice(1),
      '',
    ],
  );
});

t.test('both sides wait for each other', async t => {
  const { tool } = await script(t, 'exec cat');
  let given = 0;
  const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    const chunk = new Uint8Array(65_536);
    for (; given < 1000; given++) yield chunk;
  };
  const chunks = externalDecompressor(tool).decompress(source(), { maxBytes: PLENTY });
  await chunks.next();
  // As long as nobody reads, only pipes and buffers fill up.
  for (let last = -1; last !== given; ) {
    last = given;
    await delay(100);
  }
  t.ok(given < 100, `${given} chunks are under way`);
  let bytes = 65_536;
  for await (const chunk of chunks) bytes += chunk.length;
  t.equal(given, 1000);
  t.ok(bytes >= 1000 * 65_536);
});

t.test('memory of chunks is the caller’s again when the next is asked for', async t => {
  const { tool } = await script(t, 'exec cat');
  const lent = Buffer.alloc(300_000);
  const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    for (let round = 1; round <= 20; round++) {
      lent.fill(round);
      yield lent;
      lent.fill(0);
    }
  };
  const found = await output(externalDecompressor(tool).decompress(source(), { maxBytes: PLENTY }));
  t.equal(found.length, 20 * lent.length);
  t.notOk(found.includes(0));
});

t.test('a status other than 0 counts, however good the output looked', async t => {
  const { tool } = await script(t, 'cat; echo "something is odd" >&2; exit 3');
  const chunks = externalDecompressor(tool).decompress(chunksOf(Buffer.from('all of it')), {
    maxBytes: PLENTY,
  });
  t.equal(Buffer.from((await chunks.next()).value as Uint8Array).toString(), 'all of it');
  const found = await failure(chunks.next());
  t.equal(found.code, 'ERR_SOCI_DECOMPRESSOR');
  t.equal(found.message, `${KEY}: ${tool.path} ended with status 3: something is odd`);
  t.match(found.data, { status: 3, signal: null, stderr: 'something is odd' });
});

t.test('so does a signal', async t => {
  const { tool } = await script(t, 'cat; kill -TERM $$');
  const found = await failure(
    output(externalDecompressor(tool).decompress(chunksOf(Buffer.from('x')), { maxBytes: PLENTY })),
  );
  t.equal(found.message, `${KEY}: ${tool.path} was ended by SIGTERM`);
  t.match(found.data, { status: null, signal: 'SIGTERM' });
});

t.test('one that stops reading is judged by how it ends, and the source is read to its end', async t => {
  for (const [body, message] of [
    ['head -c 10; exit 1', /ended with status 1$/],
    ['exec <&-; echo tired >&2; exit 2', /ended with status 2: tired$/],
  ] as const) {
    const { tool } = await script(t, body);
    const found = await failure(
      output(externalDecompressor(tool).decompress(endless(), { maxBytes: PLENTY })),
    );
    t.match(found, { code: 'ERR_SOCI_DECOMPRESSOR', message });
  }
  const { tool } = await script(t, 'head -c 10');
  let ended = false;
  const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield* chunksOf(sample(2_000_000));
    ended = true;
  };
  t.equal((await output(externalDecompressor(tool).decompress(source(), { maxBytes: PLENTY }))).length, 10);
  t.ok(ended, 'whoever hashes it sees all of it');
});

t.test('short output with status 0 is its reader’s to notice', async t => {
  const { tool } = await script(t, 'cat > /dev/null; printf short');
  const found = await output(
    externalDecompressor(tool).decompress(chunksOf(sample(200_000)), { maxBytes: PLENTY }),
  );
  t.equal(found.toString(), 'short');
});

t.test('standard error is kept to its end, however much it is', async t => {
  const { tool } = await script(
    t,
    'cat > /dev/null; head -c 3000000 /dev/zero | tr "\\0" x >&2; echo last >&2; exit 1',
  );
  const found = await failure(
    output(externalDecompressor(tool).decompress(chunksOf(sample(10)), { maxBytes: PLENTY })),
  );
  t.match(found.data['stderr'], /^x+last$/);
  t.ok((found.data['stderr'] as string).length <= 4096);
});

t.test('one that stands still is killed', async t => {
  for (const [what, body] of [
    ['sleeps and reads nothing', 'echo $$ > "$1"; exec sleep 1000'],
    ['reads everything and sleeps', 'echo $$ > "$1"; cat > /dev/null; exec sleep 1000'],
    ['closes its output and sleeps', 'echo $$ > "$1"; exec >&-; exec sleep 1000'],
    ['complains for ever', 'echo $$ > "$1"; while :; do echo no >&2; done'],
    [
      'ignores what can be ignored',
      'trap "" TERM INT HUP PIPE; echo $$ > "$1"; while :; do sleep 1000; done',
    ],
  ] as const) {
    const { tool, word } = await script(t, body);
    const source = chunksOf(sample(500_000));
    const found = await failure(
      output(externalDecompressor(tool, { stallMs: SOON }).decompress(source, { maxBytes: PLENTY })),
    );
    t.match(found, { code: 'ERR_SOCI_DECOMPRESSOR', message: /made no progress in 300 ms/ }, what);
    await gone(t, word);
  }
});

t.test('a slow source or a slow reader is not the program’s fault', async t => {
  const { tool } = await script(t, 'exec cat');
  const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield Buffer.from('a');
    await delay(3 * SOON);
    yield Buffer.from('b');
  };
  let text = '';
  for await (const chunk of externalDecompressor(tool, { stallMs: SOON }).decompress(source(), {
    maxBytes: 10,
  })) {
    text += Buffer.from(chunk).toString();
    await delay(2 * SOON);
  }
  t.equal(text, 'ab');
});

t.test('a child that keeps the output open does not keep us', async t => {
  for (const [status, message] of [
    [0, /ended with status 0, but left a process behind that holds its output open/],
    [1, /ended with status 1, but left a process behind/],
  ] as const) {
    const { tool, word } = await script(t, `cat; sleep 1000 & echo $! > "$1"; exit ${status}`);
    const found = await failure(
      output(
        externalDecompressor(tool, { stallMs: SOON }).decompress(chunksOf(Buffer.from('x')), {
          maxBytes: 10,
        }),
      ),
    );
    t.match(found, { code: 'ERR_SOCI_DECOMPRESSOR', message });
    await gone(t, word);
  }
});

t.test('a child that goes on writing after its parent is listened to', async t => {
  const { tool } = await script(t, '(sleep 0.1; printf b) & printf a; exit 0');
  const found = await output(
    externalDecompressor(tool).decompress(chunksOf(Buffer.from('x')), { maxBytes: 10 }),
  );
  t.equal(found.toString(), 'ab');
});

t.test('more output than there may be', async t => {
  const { tool, word } = await script(t, 'echo $$ > "$1"; exec cat /dev/zero');
  let bytes = 0;
  const found = await failure(
    (async () => {
      for await (const chunk of externalDecompressor(tool).decompress(endless(), { maxBytes: 1_000_000 })) {
        bytes += chunk.length;
      }
    })(),
  );
  t.match(found, { code: 'ERR_SOCI_LIMIT', data: { limit: 1_000_000, key: KEY } });
  t.ok(bytes <= 1_000_000);
  await gone(t, word);
});

t.test('an abort kills it and all that it has started, whatever is waited for', async t => {
  const reason = new Error('enough');
  for (const [what, body, source] of [
    ['for its output', 'echo $$ > "$1"; exec sleep 1000', chunksOf(Buffer.from('x'))],
    ['for it to read', 'echo $$ > "$1"; exec sleep 1000', endless()],
    ['for a child', 'sleep 1000 & echo $! > "$1"; wait', endless()],
    ['for the source', 'echo $$ > "$1"; exec cat', never()],
    ['for the rest of the source', 'echo $$ > "$1"; exit 0', never()],
  ] as const) {
    const { tool, word } = await script(t, body);
    const controller = new AbortController();
    const { signal } = controller;
    const reading = output(externalDecompressor(tool).decompress(source, { maxBytes: PLENTY, signal }));
    await written(word);
    controller.abort(reason);
    await t.rejects(reading, reason, what);
    await gone(t, word);
  }
  const { tool, word } = await script(t, 'echo $$ > "$1"');
  const signal = AbortSignal.abort(reason);
  await t.rejects(output(externalDecompressor(tool).decompress(endless(), { maxBytes: 1, signal })), reason);
  t.notOk(existsSync(word), 'what is aborted before is not begun');
});

/** A source that never gives anything. */
function never(): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
}

t.test('an abort while nobody reads is told at the next read', async t => {
  const { tool, word } = await script(t, 'echo $$ > "$1"; exec cat');
  const controller = new AbortController();
  const chunks = externalDecompressor(tool).decompress(endless(), {
    maxBytes: PLENTY,
    signal: controller.signal,
  });
  await chunks.next();
  controller.abort(new Error('enough'));
  await gone(t, word);
  await t.rejects(chunks.next(), { message: 'enough' });
});

t.test('who has enough ends it, and the source', async t => {
  const { tool, word } = await script(t, 'echo $$ > "$1"; exec cat');
  let returned = false;
  const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* endless();
    } finally {
      returned = true;
    }
  };
  for await (const _ of externalDecompressor(tool).decompress(source(), { maxBytes: PLENTY })) break;
  t.notOk(isAlive(Number(readFileSync(word, 'utf8'))), 'gone before the loop is left');
  t.ok(returned);
});

t.test('what the source fails with is what the reader gets', async t => {
  const { tool, word } = await script(t, 'echo $$ > "$1"; exec cat');
  const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield sample(1000);
    await written(word);
    throw new Error('the network is down');
  };
  await t.rejects(output(externalDecompressor(tool).decompress(source(), { maxBytes: PLENTY })), {
    message: 'the network is down',
  });
  await gone(t, word);
});

t.test('what cannot be run after all', async t => {
  const folder = t.testdir({ tool: '#!/no/such/interpreter\n' });
  const path = join(folder, 'tool');
  chmodSync(path, 0o755);
  const tool = await checkDecompressor(KEY, { path, args: [] });
  for (const each of [
    tool,
    { ...tool, path: join(folder, 'gone') },
    { ...tool, args: ['x'.repeat(2 ** 21)] },
  ]) {
    const found = await failure(output(externalDecompressor(each).decompress(endless(), { maxBytes: 1 })));
    t.match(found, { code: 'ERR_SOCI_DECOMPRESSOR', message: / cannot be run/, cause: { code: /^E/ } });
  }
});

t.test('a link that leads elsewhere later changes nothing', async t => {
  const folder = t.testdir({ good: '#!/bin/sh\nexec cat\n', bad: '#!/bin/sh\nexit 9\n' });
  for (const name of ['good', 'bad']) chmodSync(join(folder, name), 0o755);
  symlinkSync('good', join(folder, 'link'));
  const tool = await checkDecompressor(KEY, { path: join(folder, 'link'), args: [] });
  spawnSync('ln', ['-sfn', 'bad', join(folder, 'link')]);
  const found = await output(
    externalDecompressor(tool).decompress(chunksOf(Buffer.from('text')), { maxBytes: 10 }),
  );
  t.equal(found.toString(), 'text');
});
