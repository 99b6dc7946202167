/**
 * The addon as a library: which zlib it holds, which symbols it shows, how it
 * is found, and that its failures are all translated.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { zlibVersion } from '../../lib/binding.js';
import { ERROR_CODES } from '../../lib/errors.js';
import { NATIVE_FAILURES } from '../../lib/native-failure.js';

const require = createRequire(import.meta.url);
const libDirectory = fileURLToPath(new URL('../../lib/', import.meta.url));
const root = process.cwd();
const gypBuild = require('node-gyp-build') as { path(root: string): string };

t.test('decodes with the zlib that it was built with', async t => {
  t.equal(zlibVersion, '1.3.1');
  // Node's own is a fork with another version string: were it interposed, it would show here.
  t.not(zlibVersion, process.versions.zlib);
});

const linuxOnly = process.platform === 'linux' ? {} : { skip: 'symbols are interposed on Linux only' };
t.test('exports no symbol of zlib or of its own core', linuxOnly, async t => {
  const listed = execFileSync('nm', ['-D', '--defined-only', gypBuild.path(root)], { encoding: 'utf8' });
  const names = listed
    .split('\n')
    .map(line => line.split(' ').at(-1) ?? '')
    .filter(name => name !== '' && !/^(_init|_fini|__asan_|__ubsan_|__odr_asan)/.test(name));
  t.strictSame(
    names.filter(name => /inflate|deflate|crc32|adler32|zlib|zcalloc|soci/i.test(name)),
    [],
  );
  t.ok(names.includes('napi_register_module_v1'));
});

t.test('translates every code of the core', async t => {
  const header = readFileSync(path.join(root, 'native/core/status.h'), 'utf8');
  const body = /enum class Code[^{]*\{([^}]*)\}/.exec(header)?.[1] ?? '';
  const native = [...body.matchAll(/^\s*k(\w+)/gm)]
    .map(match => (match[1] ?? '').replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase())
    .filter(name => name !== 'OK' && name !== 'ABORTED');
  t.ok(native.length > 10, 'the enumeration was found');
  t.strictSame(Object.keys(NATIVE_FAILURES).sort(), native.sort());
  for (const [name, { code, message }] of Object.entries(NATIVE_FAILURES)) {
    t.ok((ERROR_CODES as readonly string[]).includes(code), `${name} has a public code`);
    t.match(message('byte 7 of the layer', 7, 'layer'), /\w/);
  }
});

t.test('shows nothing that only its tests would call', async t => {
  const addon = require('node-gyp-build')(root) as Record<string, { prototype?: object }>;
  const names = Object.entries(addon).flatMap(([name, { prototype }]) => [
    name,
    ...Object.getOwnPropertyNames(prototype ?? {}),
  ]);
  t.strictSame(
    names.filter(name => /sync$/i.test(name)),
    [],
  );
});

t.test('its methods refuse foreign receivers', async t => {
  type Class = new (options?: object) => Record<string, (...args: unknown[]) => unknown>;
  const addon = require('node-gyp-build')(root) as Record<'Indexer' | 'SpanDecoder' | 'AbortFlag', Class>;
  const span = { engine: 'zlib', gzipHeader: true, bits: 0, window: undefined };
  const decoder = new addon.SpanDecoder(span);
  const flag = new addon.AbortFlag();
  const { push, run, finish, abort } = addon.Indexer.prototype as Record<
    string,
    (...args: unknown[]) => unknown
  >;
  for (const method of [push, run, finish, abort]) {
    for (const receiver of [decoder, flag, {}, undefined, 1]) {
      t.throws(() => method?.call(receiver, new Uint8Array(1)), { message: 'Illegal invocation' });
    }
  }
  t.throws(() => addon.Indexer.call({} as never, {}), TypeError);
  t.throws(() => (addon.SpanDecoder as unknown as (o: object) => void)(span), TypeError);
  const job = {
    ...span,
    raw: false,
    input: new Uint8Array(1),
    output: new Uint8Array(1),
    pinnedOutput: false,
    resizableOutput: false,
    digest: undefined,
    digestOffset: 0,
  };
  const { decodeSpan } = addon as unknown as { decodeSpan: (...args: unknown[]) => unknown };
  t.throws(() => decodeSpan(job, decoder), { message: 'Illegal invocation' });
  for (const options of [undefined, null, {}, 1, { gzip: 1 }]) {
    t.throws(() => new addon.Indexer(options as object), TypeError);
    t.throws(() => new addon.SpanDecoder(options as object), TypeError);
    t.throws(() => decodeSpan(options), TypeError);
  }
  t.throws(() => decodeSpan({ ...job, window: new Uint8Array(32767) }), TypeError);
  t.throws(() => decodeSpan({ ...job, bits: 8 }), TypeError);
  t.throws(() => decodeSpan({ ...job, digest: new Uint8Array(31) }), TypeError);
  t.throws(() => decodeSpan({ ...job, digestOffset: 2 }), TypeError);
  t.throws(() => decodeSpan({ ...job, input: new Uint16Array(1) }), TypeError);
  t.throws(() => decodeSpan({ ...job, engine: 'zlibzlib' }), TypeError);
  t.throws(() => decodeSpan({ ...job, input: undefined }), TypeError);
  t.throws(() => decodeSpan({ ...job, input: undefined, fd: 2 ** 32, offset: 0, length: 1 }), TypeError);
  t.throws(
    () =>
      decodeSpan({
        ...job,
        get digest() {
          throw new RangeError('from a getter');
        },
      }),
    { message: 'from a getter' },
  );
});

t.test('says what to do when there is no addon for the machine', async t => {
  const directory = t.testdir({ package: { lib: {} } });
  const copy = path.join(directory, 'package');
  writeFileSync(path.join(copy, 'package.json'), '{"name":"seekable-oci","type":"module"}');
  for (const name of ['arguments', 'binding', 'errors', 'native-failure', 'package-root', 'pinned-memory']) {
    copyFileSync(path.join(libDirectory, `${name}.js`), path.join(copy, 'lib', `${name}.js`));
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  const load = () =>
    spawnSync(
      process.execPath,
      ['-e', 'import("./lib/binding.js").catch(e => console.log(e.code, e.message))'],
      { cwd: copy, encoding: 'utf8' },
    );
  const absent = load();
  t.match(absent.stdout, /^ERR_SOCI_ADDON expected a native addon for /);
  t.match(absent.stdout, /cp native\/binding\.gyp \. && npx node-gyp rebuild/);

  mkdirSync(path.join(copy, 'build', 'Release'), { recursive: true });
  writeFileSync(path.join(copy, 'build', 'Release', 'seekable_oci.node'), 'not a library');
  t.match(load().stdout, /^ERR_SOCI_ADDON .*none that loads \(.*seekable_oci\.node/);
});
