/** What is derived of small images: commands, shebangs, libraries of both libcs, Python and Node.js. */
import t, { type Test } from 'tap';
import type { Image } from '../../lib/image/image.js';
import { openImage } from '../../lib/image/open-image.js';
import { deriveLoadOrder } from '../../lib/load-order/derive-load-order.js';
import { layerOf, pushImage } from '../image/sample-image.js';
import fc from '../property.js';
import { emptyLayout } from '../soci/sample-image.js';
import type { TarEntry } from '../span/sample-layers.js';
import { linkerCache, type SampleElf, sampleElf } from './sample-elf.js';

const LINKER = '/lib64/ld-linux-x86-64.so.2';
type Files = Readonly<Record<string, Buffer | string>>;

/** Files by path; `-> target` is a link. Everything can be executed. */
async function imageOf(t: Test, files: Files, config: object = {}): Promise<Image> {
  const entries = Object.entries(files).map(([path, content]): TarEntry => {
    const link = typeof content === 'string' && /^-> (.*)$/.exec(content)?.[1];
    const name = path.slice(1);
    return link
      ? { name, type: 'symlink', linkname: link }
      : { name, body: Buffer.from(content), mode: 0o755 };
  });
  const repository = await emptyLayout(t);
  const { descriptor } = await pushImage(repository, [await layerOf(entries)], { config: { config } });
  const image = await openImage({ repository, reference: descriptor.digest });
  t.teardown(() => image.close());
  return image;
}

const program = (options: SampleElf = {}): Buffer => sampleElf({ interpreter: LINKER, ...options });
const library = (soname: string, options: SampleElf = {}): Buffer => sampleElf({ soname, ...options });

interface Derived {
  readonly paths: string[];
  readonly missing: string[];
}

async function derive(t: Test, files: Files, config: object): Promise<Derived> {
  const { order, missing } = await deriveLoadOrder(await imageOf(t, files, config));
  return { paths: order.loads.map(({ path }) => path), missing: missing.map(({ name }) => name) };
}

t.test(
  'a program, its linker, and libraries by breadth, from the cache and the directories behind it',
  async t => {
    const files = {
      '/usr/bin/app': program({ needed: ['liba.so', 'libb.so', 'libnowhere.so'], unmapped: 9000 }),
      [LINKER]: library('ld-linux-x86-64.so.2'),
      '/etc/ld.so.cache': linkerCache([
        { soname: 'liba.so', path: '/opt/wrong/liba.so' },
        { soname: 'liba.so', path: '/opt/a/liba.so' },
      ]),
      '/etc/ld.so.preload': '/opt/pre.so\n',
      '/opt/pre.so': library('pre.so'),
      '/opt/wrong/liba.so': library('liba.so', { bits: 32, machine: 3 }),
      '/opt/a/liba.so': '-> liba.so.1.2',
      '/opt/a/liba.so.1.2': library('liba.so', { needed: ['libc.so.6', 'ld-linux-x86-64.so.2'] }),
      '/usr/lib/x86_64-linux-gnu/libb.so': library('libb.so', { needed: ['libc.so.6', 'liba.so'] }),
      '/lib64/libc.so.6': library('libc.so.6'),
    };
    const image = await imageOf(t, files, { Cmd: ['app'] });
    const { order, missing } = await deriveLoadOrder(image, { workload: 'app' });
    t.match(order, { workload: 'app', runs: 0, image: image.manifest.descriptor.digest });
    t.same(
      order.loads.map(({ path }) => path),
      [
        ...['/usr/bin/app', '/etc/ld.so.preload', '/etc/ld.so.cache', LINKER, '/opt/pre.so'],
        ...['/opt/a/liba.so.1.2', '/usr/lib/x86_64-linux-gnu/libb.so', '/lib64/libc.so.6'],
      ],
    );
    t.strictSame(missing, [{ name: 'libnowhere.so', neededBy: '/usr/bin/app' }]);
    const [first] = order.loads;
    t.ok(first !== undefined && first.end <= 4096 && first.size > 9000, 'of a program what is mapped');
  },
);

t.test('where files themselves want libraries looked for', async t => {
  const files = {
    [LINKER]: library('ld-linux-x86-64.so.2'),
    '/bin/app': '-> /opt/app/bin/app',
    '/opt/app/bin/app': program({ needed: ['libown.so'], rpath: '/none:$ORIGIN/../lib' }),
    '/opt/app/lib/libown.so': library('libown.so', { needed: ['libdeep.so'] }),
    '/opt/app/lib/libdeep.so': library('libdeep.so', {
      needed: ['libplug.so', 'libenv.so'],
      runpath: `\${ORIGIN}/plug`,
    }),
    '/opt/app/lib/plug/libplug.so': library('libplug.so', { needed: ['/abs/libabs.so', 'librpath.so'] }),
    '/opt/app/lib/librpath.so': library('librpath.so', {
      runpath: '/opt/$LIB:/opt/$PLATFORM',
      needed: ['liblib.so', 'libplat.so'],
    }),
    '/opt/lib/x86_64-linux-gnu/liblib.so': library('liblib.so'),
    '/opt/x86_64/libplat.so': library('libplat.so'),
    '/abs/libabs.so': library('libabs.so'),
    '/env/libenv.so': library('libenv.so'),
  };
  const { paths, missing } = await derive(t, files, { Cmd: ['/bin/app'], Env: ['LD_LIBRARY_PATH=/x:/env'] });
  t.same(missing, []);
  t.same(
    paths.sort(),
    Object.keys(files)
      .filter(path => path !== '/bin/app')
      .sort(),
  );
});

t.test('without a cache the directories of ld.so.conf are the best guess', async t => {
  const files = {
    [LINKER]: library('ld-linux-x86-64.so.2'),
    '/bin/app': program({ needed: ['liba.so', 'libb.so'] }),
    '/etc/ld.so.conf': 'include ld.so.conf.d/*.conf\ninclude ld.so.conf\n/opt/a\n',
    '/etc/ld.so.conf.d/b.conf': '/opt/b\ninclude /etc/ld.so.conf.d/?.conf\n',
    '/etc/ld.so.conf.d/other.txt': '/opt/c\n',
    '/opt/a/liba.so': library('liba.so'),
    '/opt/b/libb.so': library('libb.so'),
  };
  const { paths, missing } = await derive(t, files, { Cmd: ['/bin/app'] });
  t.same(missing, []);
  t.same(paths, ['/bin/app', LINKER, '/opt/a/liba.so', '/opt/b/libb.so']);
});

t.test('musl: its own path, itself in place of libc, and no glibc files', async t => {
  const linker = '/lib/ld-musl-x86_64.so.1';
  const files = {
    [linker]: library('libc.musl-x86_64.so.1'),
    '/bin/app': sampleElf({
      interpreter: linker,
      needed: ['libz.so', 'libc.musl-x86_64.so.1', 'libpthread.so.0'],
    }),
    '/etc/ld-musl-x86_64.path': '/opt/lib\n/usr/lib\n',
    '/etc/ld.so.cache': linkerCache([{ soname: 'libz.so', path: '/lib/libz.so' }]),
    '/lib/libz.so': library('libz.so'),
    '/opt/lib/libz.so': library('libz.so', { needed: ['libc.so'] }),
  };
  const { paths, missing } = await derive(t, files, { Cmd: ['/bin/app'] });
  t.same(missing, []);
  t.same(paths, ['/bin/app', '/etc/ld-musl-x86_64.path', linker, '/opt/lib/libz.so']);
});

t.test('commands: PATH, shebangs, wrappers, shells, and scripts that run what they are given', async t => {
  const files = {
    '/bin/sh': '-> dash',
    '/bin/dash': sampleElf(),
    '/usr/bin/env': sampleElf(),
    '/sbin/tini': sampleElf(),
    '/opt/bin/real': sampleElf({ machine: 183 }),
    '/opt/bin/script': '#!/usr/bin/env -S real --flag\n',
    '/entry.sh': '#!/bin/sh -e\nset -x\n  exec "$@"\n',
    '/fixed.sh': '#! /bin/sh\nexport A=1\nexec real --serve\n',
    '/loop': '#!/loop\n',
  };
  const Env = ['PATH=/opt/bin:/bin', 'TOOL=real'];
  const cases: readonly (readonly [object, readonly string[]])[] = [
    [{ Cmd: ['real', 'x'] }, ['/opt/bin/real']],
    [{ Entrypoint: ['/sbin/tini', '-g', '--'], Cmd: ['real'] }, ['/sbin/tini', '/opt/bin/real']],
    [{ Entrypoint: ['script'] }, ['/opt/bin/script', '/usr/bin/env', '/opt/bin/real']],
    [{ Entrypoint: ['/entry.sh'], Cmd: ['real', '-v'] }, ['/entry.sh', '/bin/dash', '/opt/bin/real']],
    [{ Entrypoint: ['/entry.sh'], Cmd: ['--option'] }, ['/entry.sh', '/bin/dash']],
    [{ Entrypoint: ['/fixed.sh'] }, ['/fixed.sh', '/bin/dash', '/opt/bin/real']],
    [{ Cmd: ['/bin/sh', '-c', 'cd / && X=1 exec $TOOL >log'] }, ['/bin/dash', '/opt/bin/real']],
    [{ Cmd: ['env', 'A=b', '-u', 'C', 'real'] }, []],
    [{ Cmd: ['../opt/bin/real'], WorkingDir: '/usr' }, ['/opt/bin/real']],
    [
      { Cmd: ['/bin/sh', '-c', 'cd opt; ./bin/real; cd ..; opt/bin/script'] },
      ['/bin/dash', '/opt/bin/real', '/opt/bin/script', '/usr/bin/env'],
    ],
    [{ Cmd: ['/loop'] }, ['/loop']],
  ];
  for (const [config, expected] of cases) {
    const { paths, missing } = await derive(t, files, { Env, ...config });
    t.same(paths, expected, JSON.stringify(config));
    t.same(missing, expected.length === 0 ? ['env'] : []);
  }
});

t.test('no command, and one that the caller names', async t => {
  const image = await imageOf(t, { '/bin/app': sampleElf() });
  await t.rejects(deriveLoadOrder(image), { code: 'ERR_SOCI_INVALID_ARGUMENT', message: /entrypoint/ });
  const { order } = await deriveLoadOrder(image, { command: ['app'] });
  t.match(order.loads, [{ path: '/bin/app' }]);
  await t.rejects(deriveLoadOrder(image, { command: ['app'], signal: AbortSignal.abort() }), {
    name: 'AbortError',
  });
});

const PYTHON = {
  '/usr/bin/python3': '-> python3.9',
  '/usr/bin/python3.9': sampleElf(),
  '/usr/lib/python3.9/os.py': 'import abc\n',
  '/usr/lib/python3.9/abc.py': 'x = 1\n',
  '/usr/lib/python3.9/site.py': 'import os\n',
  '/usr/lib/python3.9/io.py': 'import abc\n',
  '/usr/lib/python3.9/json/__init__.py': 'from .decoder import JSONDecoder\n',
  '/usr/lib/python3.9/json/decoder.py': 'import _speed\n',
  '/usr/lib/python3.9/json/__pycache__/decoder.cpython-39.pyc': 'compiled',
  '/usr/lib/python3.9/json/__pycache__/decoder.cpython-311.pyc': 'of another version',
  '/usr/lib/python3.9/lib-dynload/_speed.cpython-39-x86_64-linux-gnu.so': sampleElf({
    needed: ['libfast.so'],
  }),
  '/usr/lib/python3.9/lib-dynload/_other.cpython-39-x86_64-linux-gnu.so': sampleElf(),
  '/usr/lib/python3.9/encodings/__init__.py': 'from . import aliases\n',
  '/usr/lib/python3.9/encodings/aliases.py': 'a = {}\n',
  '/usr/lib/python3.9/encodings/utf_8.py': 'b = 1\n',
  '/usr/lib/python3.9/unused.py': 'c = 1\n',
  '/usr/lib/locale/C.utf8/LC_CTYPE': 'locale',
};

t.test('Python: start-up, the script and what it imports, compiled where it has been', async t => {
  const files = {
    ...PYTHON,
    '/usr/bin/python3.9': program(),
    [LINKER]: library('ld'),
    '/lib64/libfast.so': library('libfast.so'),
    '/app/main.py': 'import json, helper\ndef f():\n    import unused\n',
    '/app/helper.py': 'from namespace import part\n',
    '/app/namespace/part.py': 'import missing_module\n',
  };
  const { paths, missing } = await derive(t, files, {
    Cmd: ['python3', '-u', '-W', 'ignore', 'main.py', 'x.py'],
    WorkingDir: '/app',
  });
  t.same(missing, []);
  const library39 = '/usr/lib/python3.9';
  t.same(paths, [
    ...['/usr/bin/python3.9', LINKER, '/usr/lib/locale/C.utf8/LC_CTYPE', '/app/main.py'],
    ...[
      `${library39}/encodings/__init__.py`,
      `${library39}/encodings/aliases.py`,
      `${library39}/encodings/utf_8.py`,
    ],
    ...[`${library39}/io.py`, `${library39}/abc.py`, `${library39}/site.py`, `${library39}/os.py`],
    ...[`${library39}/json/__init__.py`, `${library39}/json/__pycache__/decoder.cpython-39.pyc`],
    ...[`${library39}/lib-dynload/_speed.cpython-39-x86_64-linux-gnu.so`, '/lib64/libfast.so'],
    ...['/app/helper.py', '/app/namespace/part.py'],
  ]);
});

t.test('Python: a virtual environment with its own packages, -m, and what is frozen since 3.11', async t => {
  const site = '/venv/lib/python3.12/site-packages';
  const files = {
    '/usr/local/bin/python3.12': sampleElf(),
    '/usr/local/lib/python3.12/os.py': 'import stat, tool\n',
    '/usr/local/lib/python3.12/stat.py': '\n',
    '/usr/local/lib/python3.12/runpy.py': 'import importlib.util\n',
    '/usr/local/lib/python3.12/importlib/__init__.py': 'x = 1\n',
    '/usr/local/lib/python3.12/importlib/util.py': 'import tool\n',
    '/usr/local/lib/python3.12/tool.py': '\n',
    '/usr/local/lib/python3.12/site-packages/hidden.pth': '/elsewhere\n',
    '/src/editable/late.py': '\n',
    '/venv/bin/python': '-> /usr/local/bin/python3.12',
    '/venv/pyvenv.cfg': 'home = /usr/local/bin\nversion = 3.12.1\n',
    [`${site}/a.pth`]: '# paths\nimport tool\n../../../../src/editable\n',
    [`${site}/app/__init__.py`]: 'y = 1\n',
    [`${site}/app/sub/__init__.py`]: 'from .. import near\n',
    [`${site}/app/sub/__main__.py`]: 'import os, late\n',
    [`${site}/app/near.py`]: 'z = 1\n',
  };
  const { paths } = await derive(t, files, { Entrypoint: ['/venv/bin/python', '-Im', 'app.sub'] });
  t.same(paths, [
    ...[
      '/usr/local/bin/python3.12',
      '/venv/pyvenv.cfg',
      `${site}/a.pth`,
      '/usr/local/lib/python3.12/tool.py',
    ],
    ...['/usr/local/lib/python3.12/importlib/__init__.py', `${site}/app/__init__.py`],
    ...[
      `${site}/app/sub/__init__.py`,
      `${site}/app/near.py`,
      `${site}/app/sub/__main__.py`,
      '/src/editable/late.py',
    ],
  ]);
});

t.test(
  'Node.js: the main script as require finds it, the nearest package.json, the OpenSSL configuration',
  async t => {
    const files = {
      '/usr/local/bin/node': sampleElf(),
      '/etc/ssl/openssl.cnf': 'x',
      '/app/package.json': '{"main":"lib/start"}',
      '/app/lib/start.js': 'x',
      '/app/lib/index.js': 'y',
      '/app/lib/package.json': '{"main":7}',
      '/app/pre.js': 'z',
      '/bad/package.json': '{',
      '/bad/index.js': 'x',
    };
    const node = ['/usr/local/bin/node', '/etc/ssl/openssl.cnf'];
    const cases: readonly (readonly [readonly string[], readonly string[]])[] = [
      [
        ['node', '.'],
        [...node, '/app/package.json', '/app/lib/package.json', '/app/lib/start.js'],
      ],
      [
        ['node', 'lib/start.js'],
        [...node, '/app/lib/package.json', '/app/lib/start.js'],
      ],
      [
        ['node', '--require', './pre', '--title=x', 'lib'],
        [...node, '/app/package.json', '/app/pre.js', '/app/lib/package.json', '/app/lib/index.js'],
      ],
      [['node', '-e', 'lib/start.js'], node],
      [
        ['node', '/bad'],
        [...node, '/bad/package.json', '/bad/index.js'],
      ],
      [['node'], node],
    ];
    for (const [Cmd, expected] of cases) {
      t.same((await derive(t, files, { Cmd, WorkingDir: '/app' })).paths, expected, Cmd.join(' '));
    }
  },
);

t.test('Node.js: what the main script loads, by path, by name, by what packages export', async t => {
  const addon = sampleElf({ needed: ['libaddon.so'] });
  const files = {
    '/usr/local/bin/node': program(),
    [LINKER]: library('ld'),
    '/lib64/libaddon.so': library('libaddon.so'),
    '/app/main.mjs': `import fs from 'node:fs';
import { a,
  b } from './lib/a.js';
export * from 'plain';
import 'scoped-less';
import conditional from '@scope/conditional';
import sub from '@scope/conditional/feature/x';
// import no from './not.js';
const later = () => import('./dynamic.js');
`,
    '/app/not.js': 'x',
    '/app/dynamic.js': 'x',
    '/app/lib/a.js': `const b = require('./b'), c = require("../lib"); // and so on
  * require('./not')
  x.require('../not');
require('events'); require('plain/deep'); require('nowhere'); require('#internal');
require('./addon.node'); require('./b')`,
    '/app/lib/b.json': '{}',
    '/app/lib/index.js': `require('./a')`,
    '/app/lib/addon.node': addon,
    '/app/node_modules/events/index.js': 'x',
    '/app/node_modules/plain/package.json': '{"main":"./start"}',
    '/app/node_modules/plain/start.js': 'x',
    '/app/node_modules/plain/deep/index.js': 'x',
    '/app/node_modules/scoped-less': '-> ../../shared/linked',
    '/shared/linked/package.json': '{"exports":"./main.js"}',
    '/shared/linked/main.js': `require('./other')`,
    '/shared/linked/other.js': 'x',
    '/node_modules/@scope/conditional/package.json': JSON.stringify({
      exports: {
        '.': { browser: './no.js', require: './no.js', node: [{ import: './esm.mjs' }, './no.js'] },
        './feature/*': './features/*.js',
      },
    }),
    '/node_modules/@scope/conditional/no.js': 'x',
    '/node_modules/@scope/conditional/esm.mjs': 'x',
    '/node_modules/@scope/conditional/features/x.js': 'x',
  };
  const { paths, missing } = await derive(t, files, { Cmd: ['node', 'main.mjs'], WorkingDir: '/app' });
  t.same(missing, []);
  t.same(paths, [
    ...['/usr/local/bin/node', LINKER, '/app/main.mjs'],
    ...['/app/node_modules/plain/package.json', '/shared/linked/package.json'],
    ...['/node_modules/@scope/conditional/package.json', '/app/lib/a.js'],
    ...['/app/node_modules/plain/start.js', '/shared/linked/main.js'],
    ...['/node_modules/@scope/conditional/esm.mjs', '/node_modules/@scope/conditional/features/x.js'],
    ...['/app/lib/b.json', '/app/lib/index.js', '/app/node_modules/plain/deep/index.js'],
    ...['/app/lib/addon.node', '/lib64/libaddon.so', '/shared/linked/other.js'],
  ]);
});

t.test('an image that would keep it going ends it', async t => {
  const needed = Array.from({ length: 512 }, (_, at) => `lib${at}.so`);
  const directories = Array.from({ length: 500 }, (_, at) => `/d${at}`).join(':');
  const files: Record<string, Buffer> = {
    [LINKER]: library('ld'),
    '/bin/app': program({ needed, rpath: directories }),
  };
  const image = await imageOf(t, files, { Cmd: ['/bin/app'] });
  await t.rejects(deriveLoadOrder(image), { code: 'ERR_SOCI_LIMIT', message: /record one|found out/ });
});

t.test('configs say anything', async t => {
  const files = { '/bin/app': sampleElf() };
  const odd = [{ Cmd: 'app' }, { Cmd: [1, null] }, { Entrypoint: {}, Cmd: [] }];
  for (const config of odd) {
    await t.rejects(deriveLoadOrder(await imageOf(t, files, config)), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
  const named = { Cmd: ['app'], Env: [3, 'X', 'PATH=/bin'], WorkingDir: 7 };
  t.same((await derive(t, files, named)).paths, ['/bin/app']);
  t.same((await derive(t, files, { Cmd: ['a\0b', ''] })).missing, ['a\0b']);
});

t.test(
  'hostile files: whatever they are, there is a load order of files that are there, or a limit',
  async t => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map(each => Buffer.from(each));
    const changes = fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 8 });
    const elf = changes.map(all => {
      const good = program({ needed: ['liba.so', 'libc.so.6'], runpath: '$ORIGIN/x:$LIB', soname: 's' });
      for (const [at, value] of all) good[at % good.length] = value;
      return good;
    });
    const content = fc.oneof(
      bytes,
      elf,
      fc.constantFrom('#!/bin/app', '#!/bin/sh', 'import x, y', '{"main":".."}').map(Buffer.from),
    );
    const places = [
      '/bin/app',
      '/bin/sh',
      '/lib64/liba.so',
      LINKER,
      '/etc/ld.so.cache',
      '/etc/ld.so.conf',
      '/bin/pyvenv.cfg',
    ];
    const files = fc
      .tuple(...places.map(() => content))
      .map(all => Object.fromEntries(places.map((path, at) => [path, all[at] as Buffer])));
    await fc.assert(
      fc.asyncProperty(files, async all => {
        const image = await imageOf(t, { ...PYTHON, ...all }, { Cmd: ['/bin/app', 'sh', 'python3'] });
        const { order } = await deriveLoadOrder(image);
        for (const { path, size } of order.loads) t.equal((await image.stat(path)).size, size);
      }),
      { numRuns: 60 },
    );
  },
);
