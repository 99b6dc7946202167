/**
 * `seekable-oci ztoc …` as a user runs it: what it prints, where, and how it ends.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  createWriteStream,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { pack } from 'tar-stream';
import { command, finished, start } from './run-command.js';

/** Bytes that gzip cannot shrink to nothing, the same in every run. */
function noise(length: number): Buffer {
  const hashes: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) hashes.push(createHash('sha256').update(`${i}`).digest());
  return Buffer.from(Buffer.concat(hashes).toString('base64').slice(0, length));
}

const big = noise(300_000);

async function makeLayer(): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: 'etc/', type: 'directory', mode: 0o755 });
  tar.entry({ name: 'etc/hello', mode: 0o4750, uid: 7, gid: 8, mtime: new Date(0) }, 'hello\n');
  tar.entry({ name: 'etc/empty' }, '');
  tar.entry({ name: 'etc/link', type: 'symlink', linkname: 'hello' });
  tar.entry({ name: 'big' }, big);
  tar.entry({ name: 'bad\u001b[31m\nname' }, 'x');
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

const bytes = await makeLayer();
const folder = t.testdir();
const layer = join(folder, 'layer.tar.gz');
const ztoc = join(folder, 'layer.ztoc');
writeFileSync(layer, bytes);
const built = await command(['ztoc', 'build', layer, '-o', ztoc, '--span-size', '65536', '--json']);
const sha256 = (data: Uint8Array) => `sha256:${createHash('sha256').update(data).digest('hex')}`;
const digest = sha256(readFileSync(ztoc));

function oneLineError(t: Test, stderr: string, code: string): void {
  t.match(stderr, /^seekable-oci: [^\n]+\n$/, 'one line on standard error');
  t.ok(stderr.endsWith(`[${code}]\n`), `ends with [${code}]: ${stderr}`);
}

t.test('help and version', async t => {
  for (const args of [['--help'], ['help'], ['-h'], ['ztoc', '--help']]) {
    const { status, stdout, stderr } = await command(args);
    t.equal(status, 0);
    t.equal(stderr, '');
    for (const name of ['build', 'info', 'ls', 'cat', 'verify']) t.match(stdout.toString(), `ztoc ${name}`);
    t.match(stdout.toString(), 'Exit status: 0 success, 1 failure, 2 wrong usage');
  }
  for (const name of ['build', 'info', 'ls', 'cat', 'verify']) {
    const { status, stdout } = await command(['ztoc', name, '--help']);
    t.equal(status, 0);
    t.match(stdout.toString(), `Usage: seekable-oci ztoc ${name}`);
    t.match(stdout.toString(), 'Exit status');
  }
  const { stdout } = await command(['--version']);
  t.equal(stdout.toString().trim(), JSON.parse(readFileSync('package.json', 'utf8')).version);
});

t.test('wrong usage is status 2 and one line', async t => {
  const wrong = [
    [],
    ['nonsense'],
    ['ztoc'],
    ['ztoc', 'nonsense'],
    ['ztoc', 'build', layer],
    ['ztoc', 'build', '-o', 'x'],
    ['ztoc', 'build', layer, '-o', join(folder, 'no'), '--span-size', '0'],
    ['ztoc', 'build', layer, '-o', join(folder, 'no'), '--span-size', '4M'],
    ['ztoc', 'info', ztoc, 'extra'],
    ['ztoc', 'info', ztoc, '--unknown'],
    ['ztoc', 'cat', '-', ztoc, 'big'],
  ];
  for (const args of wrong) {
    const { status, stdout, stderr } = await command(args);
    t.equal(status, 2, args.join(' '));
    t.equal(stdout.length, 0);
    oneLineError(t, stderr, 'ERR_SOCI_INVALID_ARGUMENT');
  }
  t.notOk(readdirSync(folder).includes('no'), 'nothing was written');
  t.match(
    (await command(['ztoc'])).stderr,
    "a command after 'ztoc': build, info, ls, cat, fetch, verify (try ",
  );
  for (const operand of ['ftp://user:secret@host/layer', 'file:///layer']) {
    for (const args of [
      ['build', operand, '-o', '-'],
      ['cat', operand, ztoc, 'big'],
      ['verify', operand, ztoc],
    ]) {
      const { status, stderr } = await command(['ztoc', ...args]);
      t.equal(status, 2, args.join(' '));
      oneLineError(t, stderr, 'ERR_SOCI_INVALID_ARGUMENT');
      t.match(stderr, 'a URL of the scheme http or https');
      t.notMatch(stderr, 'secret');
    }
  }
});

t.test('ztoc build', async t => {
  t.equal(built.status, 0, built.stderr);
  t.equal(built.stderr, '', 'no progress bar unless standard error is a terminal');
  t.match(JSON.parse(built.stdout.toString()), {
    digest,
    size: statSync(ztoc).size,
    layerDigest: sha256(bytes),
    layerSize: bytes.length,
    spanSize: 65536,
    entries: 6,
  });

  t.test(
    'gives the same ztoc from standard input, a file and a URL, to a file or standard output',
    async t => {
      const server = createServer((_, response) => response.end(bytes)).listen(0, '127.0.0.1');
      t.teardown(() => server.close());
      await once(server, 'listening');
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/layer`;
      const args = ['-o', '-', '--span-size', '65536'];
      for (const [name, input] of [
        ['-', bytes],
        [url, undefined],
        [layer, undefined],
      ] as const) {
        const { status, stdout, stderr } = await command(['ztoc', 'build', name, ...args], input);
        t.equal(status, 0, stderr);
        t.equal(sha256(stdout), digest, name);
      }
    },
  );

  t.test('reads a fifo, as process substitution gives one', async t => {
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const outcome = command(['ztoc', 'build', fifo, '-o', '-', '--span-size', '65536']);
    const writer = createWriteStream(fifo);
    writer.end(bytes);
    t.equal(sha256((await outcome).stdout), digest);
  });

  t.test('prints the digest first, for people and scripts', async t => {
    const { stdout } = await command([
      'ztoc',
      'build',
      layer,
      '-o',
      join(folder, 'other'),
      '--span-size',
      '65536',
    ]);
    t.equal(stdout.toString().split(' ')[0], digest);
  });

  t.test('records the build tool identifier', async t => {
    const path = join(folder, 'identified');
    await command(['ztoc', 'build', layer, '-o', path, '--build-tool-identifier', 'a tool']);
    const { stdout } = await command(['ztoc', 'info', path]);
    t.equal(JSON.parse(stdout.toString()).build_tool, 'a tool');
  });

  t.test('replaces the file behind a symbolic link, and writes to devices in place', async t => {
    const link = join(folder, 'link');
    writeFileSync(join(folder, 'behind'), 'old');
    symlinkSync('behind', link);
    t.equal((await command(['ztoc', 'build', layer, '-o', link, '--span-size', '65536'])).status, 0);
    t.equal(sha256(readFileSync(join(folder, 'behind'))), digest);
    t.equal((await command(['ztoc', 'build', layer, '-o', '/dev/null'])).status, 0);
    t.ok(statSync('/dev/null').isCharacterDevice());
  });

  t.test('leaves an existing file alone, and nothing else behind, when it fails', async t => {
    const dir = t.testdir({ out: 'precious', cut: bytes.subarray(0, bytes.length - 20) });
    const { status, stdout, stderr } = await command([
      'ztoc',
      'build',
      join(dir, 'cut'),
      '-o',
      join(dir, 'out'),
    ]);
    t.equal(status, 1);
    t.equal(stdout.length, 0);
    oneLineError(t, stderr, 'ERR_SOCI_LAYER_TRUNCATED');
    t.equal(readFileSync(join(dir, 'out'), 'utf8'), 'precious');
    t.same(readdirSync(dir).sort(), ['cut', 'out']);
  });

  t.test('a folder that is not there is reported before the layer is read', async t => {
    const { status, stderr } = await command(['ztoc', 'build', '-', '-o', join(folder, 'no/such/x')], bytes);
    t.equal(status, 1);
    oneLineError(t, stderr, 'ENOENT');
    t.match(stderr, `${join(folder, 'no/such/x')}: cannot be written: no such file or directory [`);
    t.notMatch(stderr, '.tmp', 'not the temporary file');
    const under = join(layer, 'x');
    const below = await command(['ztoc', 'build', layer, '-o', under]);
    oneLineError(t, below.stderr, 'ENOTDIR');
    t.match(below.stderr, `${under}: cannot be written: not a directory [`);
    const taken = await command(['ztoc', 'build', layer, '-o', folder]);
    oneLineError(t, taken.stderr, 'EISDIR');
    t.match(taken.stderr, `${folder}: cannot be written: `);
  });

  t.test('no bytes at all are no layer: a failed download must not leave a ztoc', async t => {
    const dir = t.testdir({ empty: '' });
    for (const operand of ['-', join(dir, 'empty')]) {
      const { status, stdout, stderr } = await command(['ztoc', 'build', operand, '-o', join(dir, 'out')]);
      t.equal(status, 1);
      t.equal(stdout.length, 0);
      oneLineError(t, stderr, 'ERR_SOCI_LAYER_TRUNCATED');
      t.match(stderr, 'found 0 bytes');
      t.same(readdirSync(dir), ['empty']);
    }
  });
});

t.test('ztoc info: the fields of the reference, the last span included', async t => {
  const { status, stdout } = await command(['ztoc', 'info', ztoc, '--ztoc-digest', digest]);
  t.equal(status, 0);
  const info = JSON.parse(stdout.toString());
  t.same(Object.keys(info), [
    'version',
    'build_tool',
    'size',
    'span_size',
    'num_spans',
    'largest_span',
    'num_files',
    'num_multi_span_files',
    'files',
  ]);
  t.match(info, { version: '0.9', size: statSync(ztoc).size, span_size: 65536, num_files: 6 });
  t.equal(info.largest_span.reason, undefined, 'no block is larger than a span');
  t.equal(info.num_multi_span_files, 1, 'only the big file lies in several spans');
  const file = (name: string) => info.files.find((entry: { filename: string }) => entry.filename === name);
  t.same(file('etc/hello'), {
    filename: 'etc/hello',
    offset: 1024,
    size: 6,
    type: 'reg',
    start_span: 0,
    end_span: 0,
  });
  t.equal(file('etc/empty').start_span, file('etc/empty').end_span, 'an empty file has its place');
  t.ok(file('big').end_span > 2);
  t.ok(file('big').end_span < info.num_spans);
});

t.test('ztoc ls', async t => {
  const short = await command(['ztoc', 'ls', ztoc]);
  t.equal(
    short.stdout.toString(),
    'etc/\netc/hello\netc/empty\netc/link\nbig\nbad\\x1b[31m\\x0aname\n',
    'in the order of the tar, control characters made harmless',
  );
  const long = (await command(['ztoc', 'ls', '-l', ztoc])).stdout.toString().split('\n');
  t.match(long[0], /^drwxr-xr-x /);
  t.match(long[1], /^-rwsr-x--- 7\/8 +6 1970-01-01T00:00:00Z etc\/hello$/);
  t.match(long[3], /^l.* etc\/link -> hello$/);
  const json = JSON.parse((await command(['ztoc', 'ls', '--json', ztoc])).stdout.toString());
  t.equal(json.length, 6);
  t.match(json[1], { name: 'etc/hello', type: 'reg', size: 6, mode: 0o4750, uid: 7, gid: 8 });
  t.equal(json[5].name, 'bad\u001b[31m\nname');
});

t.test('ztoc cat', async t => {
  for (const [path, expected] of [
    ['big', big],
    ['/etc/hello', Buffer.from('hello\n')],
    ['etc/empty', Buffer.alloc(0)],
  ] as const) {
    const { status, stdout, stderr } = await command(['ztoc', 'cat', layer, ztoc, path]);
    t.equal(status, 0, stderr);
    t.ok(stdout.equals(expected), `${path}: exactly its bytes`);
  }
  t.equal(
    (await command(['ztoc', 'cat', layer, ztoc, 'etc/link'])).stdout.toString(),
    'hello\n',
    'links followed',
  );

  t.test('fetches ranges of a URL, not the layer', async t => {
    let sent = 0;
    const server = createServer((request, response) => {
      const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
      const start = Number(from);
      const end = to === '' ? bytes.length - 1 : Math.min(Number(to), bytes.length - 1);
      sent += end + 1 - start;
      response.writeHead(206, { 'content-range': `bytes ${start}-${end}/${bytes.length}` });
      response.end(bytes.subarray(start, end + 1));
    }).listen(0, '127.0.0.1');
    t.teardown(() => server.close());
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/layer`;
    const { status, stdout, stderr } = await command(['ztoc', 'cat', url, ztoc, 'etc/hello']);
    t.equal(status, 0, stderr);
    t.equal(stdout.toString(), 'hello\n');
    t.ok(sent > 0 && sent < bytes.length / 2, `${sent} of ${bytes.length} bytes`);
  });

  t.test('fails with a code', async t => {
    const other = join(folder, 'other.tar.gz');
    const flipped = Buffer.from(bytes);
    flipped[60] = (flipped[60] ?? 0) ^ 0xff;
    writeFileSync(other, flipped);
    writeFileSync(join(folder, 'junk'), 'not a ztoc');
    const cases: [string[], string][] = [
      [[layer, ztoc, 'no/such'], 'ENOENT'],
      [[layer, ztoc, 'etc'], 'EISDIR'],
      [[other, ztoc, 'etc/hello'], 'ERR_SOCI_SPAN_DIGEST'],
      [[layer, join(folder, 'junk'), 'big'], 'ERR_SOCI_ZTOC_FORMAT'],
      [[layer, join(folder, 'missing'), 'big'], 'ERR_SOCI_SOURCE_IO'],
      [[join(folder, 'missing'), ztoc, 'big'], 'ERR_SOCI_SOURCE_IO'],
      [[ztoc, ztoc, 'big'], 'ERR_SOCI_ZTOC_MISMATCH'],
      [[layer, ztoc, 'big', '--ztoc-digest', sha256(Buffer.alloc(1))], 'ERR_SOCI_ZTOC_DIGEST'],
    ];
    for (const [args, code] of cases) {
      const { status, stdout, stderr } = await command(['ztoc', 'cat', ...args]);
      t.equal(status, 1, args.join(' '));
      t.equal(stdout.length, 0, 'no byte of it leaves');
      oneLineError(t, stderr, code);
    }
  });

  t.test('says which file is no ztoc, since operands are easily swapped', async t => {
    const { status, stderr } = await command(['ztoc', 'cat', ztoc, layer, 'big']);
    t.equal(status, 1);
    t.match(stderr, `seekable-oci: ${layer}: not a ztoc`);

    const huge = join(folder, 'huge');
    writeFileSync(huge, '');
    truncateSync(huge, 2 ** 40);
    const refused = await command(['ztoc', 'ls', huge]);
    t.equal(refused.status, 1);
    oneLineError(t, refused.stderr, 'ERR_SOCI_LIMIT');
  });

  t.test('a digest that is none is wrong usage', async t => {
    const { status, stderr } = await command([
      'ztoc',
      'cat',
      layer,
      ztoc,
      'big',
      '--ztoc-digest',
      'sha256:00',
    ]);
    t.equal(status, 2);
    t.match(stderr, 'expected sha256: and 64 hex digits in lower case for --ztoc-digest');
  });
});

t.test('ztoc verify', async t => {
  const good = await command(['ztoc', 'verify', '-', ztoc, '--json'], bytes);
  t.equal(good.status, 0, good.stderr);
  t.match(JSON.parse(good.stdout.toString()), { ok: true, digest, entries: 6 });
  t.match(
    (await command(['ztoc', 'verify', layer, ztoc])).stdout.toString(),
    `${digest}  describes the layer`,
  );

  const forged = readFileSync(ztoc);
  const name = forged.indexOf('etc/hello');
  forged.write('etc/hullo', name);
  writeFileSync(join(folder, 'forged'), forged);
  const bad = await command(['ztoc', 'verify', layer, join(folder, 'forged'), '--json']);
  t.equal(bad.status, 1);
  t.equal(bad.stderr, '');
  t.match(JSON.parse(bad.stdout.toString()), { ok: false, code: 'ERR_SOCI_ZTOC_MISMATCH' });
  const plain = await command(['ztoc', 'verify', layer, join(folder, 'forged')]);
  t.equal(plain.status, 1);
  oneLineError(t, plain.stderr, 'ERR_SOCI_ZTOC_MISMATCH');
});

t.test('SIGINT ends it with 130 and removes what was half-written', async t => {
  const dir = t.testdir({});
  const child = start(['ztoc', 'build', '-', '-o', join(dir, 'out')]);
  const outcome = finished(child);
  child.stdin?.write(bytes.subarray(0, 1000));
  // The temporary file appears when the build begins.
  while (readdirSync(dir).length === 0) await new Promise(resolve => setImmediate(resolve));
  child.kill('SIGINT');
  const { status, stdout, stderr } = await outcome;
  t.equal(status, 130);
  t.equal(stdout.length, 0);
  t.equal(stderr, '');
  t.same(readdirSync(dir), []);
});

t.test('a reader that goes away ends it quietly', async t => {
  const child = start(['ztoc', 'cat', layer, ztoc, 'big']);
  const outcome = finished(child);
  child.stdout?.destroy();
  const { status, stderr } = await outcome;
  t.equal(stderr, '');
  t.equal(status, 141);
});
