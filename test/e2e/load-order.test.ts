/**
 * Load orders against real runs: what is derived of an image, without running it, is held against what strace sees a
 * program read that runs in the same files.
 */
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';

import {
  deriveLoadOrder,
  importTrace,
  type LoadOrder,
  mergeTraces,
  openImage,
  type Trace,
} from '../../lib/index.js';
import { DirectoryFiles } from '../../lib/registry/layout-files.js';
import { LayoutRepository } from '../../lib/registry/layout-repository.js';
import { fixturePath } from '../registry/fixture.js';
import { makeRootfs, type Rootfs } from './support/machine-rootfs.js';
import { run } from './support/process.js';
import { needs } from './support/tools.js';
import { workspace } from './support/workspace.js';

const skip =
  needs('strace', 'chroot', 'ldd', 'tar', 'python3', 'gcc') || (process.getuid?.() !== 0 && 'needs root');

const PATH = '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Without /proc, as there is none below chroot, glibc takes $ORIGIN from here. */
const ENVIRONMENT = [`PATH=${PATH}`, 'LD_ORIGIN_PATH=/opt/app/bin'];
const CALLS = 'execve,open,openat,read,pread64,mmap,lseek,close';

interface Workload {
  readonly derived: LoadOrder;
  readonly recorded: LoadOrder;
}

/** Runs a command in the files themselves, traced, and derives it of an image of them. */
async function runAndDerive(t: Test, rootfs: Rootfs, command: readonly string[]): Promise<Workload> {
  const repository = new LayoutRepository(new DirectoryFiles(`${rootfs.folder}.layout`, 'oci:e2e'));
  t.teardown(() => repository.close());
  const config = { Entrypoint: command, Env: [`PATH=${PATH}`] };
  const { descriptor } = await rootfs.push(repository, { config: { config } });
  const image = await openImage({ repository, reference: descriptor.digest });
  t.teardown(() => image.close());
  const traces: Trace[] = [];
  for (let round = 0; round < 2; round += 1) {
    const log = `${rootfs.folder}.${round}.log`;
    const traced = ['-f', '-y', '-ttt', '-o', log, '-e', `trace=${CALLS}`];
    const words = ['env', '-i', ...ENVIRONMENT, 'chroot', rootfs.folder, ...command];
    await run('strace', [...traced, ...words]);
    const { trace } = await importTrace(image, createReadStream(log), { root: rootfs.folder });
    traces.push(trace);
  }
  const { order: derived, missing } = await deriveLoadOrder(image);
  t.same(missing, []);
  return { derived, recorded: mergeTraces(traces, 'start') };
}

const bytesOf = ({ loads }: LoadOrder): number => loads.reduce((sum, { start, end }) => sum + end - start, 0);

/** Bytes that both have. */
function commonBytes(a: LoadOrder, b: LoadOrder): number {
  let common = 0;
  for (const one of a.loads) {
    for (const other of b.loads) {
      if (one.path === other.path) {
        common += Math.max(0, Math.min(one.end, other.end) - Math.max(one.start, other.start));
      }
    }
  }
  return common;
}

function fits(t: Test, { derived, recorded }: Workload): void {
  const [read, named, both] = [bytesOf(recorded), bytesOf(derived), commonBytes(recorded, derived)];
  const figures = `${read} bytes read, ${named} named, ${both} of them read`;
  t.comment(figures);
  const unnamed = recorded.loads.filter(({ path }) => !derived.loads.some(each => each.path === path));
  t.comment(unnamed.map(({ path, start, end }) => `${path} ${end - start}`).join('\n'));
  t.ok(both >= 0.8 * read, `at least 80 % of what is read is named: ${figures}`);
  t.ok(named <= 1.5 * read, `at most half as much again is named: ${figures}`);
}

const PYTHON = '/usr/bin/python3';

/** The system's, and where its library is. */
async function systemPython(): Promise<{ readonly program: string; readonly library: string }> {
  const where =
    'import os, sys; print(os.path.realpath(sys.executable)); print(os.path.dirname(os.__file__))';
  const [program = '', library = ''] = (await run('env', [PYTHON, '-c', where]))
    .toString()
    .trim()
    .split('\n');
  return { program, library };
}

t.test('a Python program', { skip }, async t => {
  const folder = join(await workspace(t), 'python');
  const python = '/usr/bin/python3';
  const where =
    'import sys, os; print(os.path.realpath(sys.executable)); print(os.path.dirname(os.__file__))';
  const [program = '', library = ''] = (await run('env', [python, '-c', where]))
    .toString()
    .trim()
    .split('\n');
  const rootfs = await makeRootfs(folder, [python, program], [library, '/usr/lib/locale/C.utf8']);
  await rootfs.write('/app/main.py', 'import sys\nprint("ready", len(sys.path))\n');
  fits(t, await runAndDerive(t, rootfs, ['python3', '/app/main.py']));
});

t.test(
  'a Python program of a virtual environment, by its shebang, behind an entrypoint script',
  { skip },
  async t => {
    const folder = join(await workspace(t), 'venv');
    const { program, library } = await systemPython();
    const rootfs = await makeRootfs(
      folder,
      [PYTHON, program, '/bin/sh'],
      [library, '/usr/lib/locale/C.utf8'],
    );
    await rootfs.write('/opt/venv/pyvenv.cfg', 'home = /usr/bin\ninclude-system-site-packages = false\n');
    const site = `/opt/venv/lib/${library.split('/').at(-1)}/site-packages`;
    await rootfs.write(`${site}/served/__init__.py`, `DATA = ${JSON.stringify('x'.repeat(300_000))}\n`);
    await rootfs.write(`${site}/served/__main__.py`, 'import served\nprint(len(served.DATA))\n');
    await rootfs.write(
      '/opt/venv/bin/serve',
      '#!/opt/venv/bin/python\nimport served\nprint(len(served.DATA))\n',
      0o755,
    );
    await run('ln', ['-s', program, join(folder, 'opt/venv/bin/python')]);
    await rootfs.write('/entrypoint.sh', '#!/bin/sh\nset -e\nexec "$@"\n', 0o755);
    fits(t, await runAndDerive(t, rootfs, ['/entrypoint.sh', '/opt/venv/bin/serve']));
    fits(t, await runAndDerive(t, rootfs, ['/bin/sh', '-c', 'exec /opt/venv/bin/python -m served']));
  },
);

t.test('a Python program that imports a good part of the library', { skip }, async t => {
  const folder = join(await workspace(t), 'imports');
  const { program, library } = await systemPython();
  const modules = join(library, 'lib-dynload');
  const compiled = (await readdir(modules)).map(name => join(modules, name));
  const rootfs = await makeRootfs(
    folder,
    [PYTHON, program, ...compiled],
    [library, '/usr/lib/locale/C.utf8'],
  );
  const imports = 'import json, http.client, sqlite3, asyncio';
  fits(t, await runAndDerive(t, rootfs, ['python3', '-c', imports]));
});

t.test('a Node.js program', { skip }, async t => {
  const folder = join(await workspace(t), 'node');
  const rootfs = await makeRootfs(folder, [process.execPath], []);
  await rootfs.write('/app/package.json', '{"name":"app","main":"lib/start.js","type":"commonjs"}');
  await rootfs.write('/app/lib/start.js', "require('node:http').createServer(); console.log('ready');\n");
  fits(t, await runAndDerive(t, rootfs, [process.execPath, '/app']));
});

t.test('a Node.js program of many modules: of those alone as much is named', { skip }, async t => {
  const folder = join(await workspace(t), 'modules');
  const rootfs = await makeRootfs(folder, [process.execPath], []);
  const packages = ['undici', 'smol-toml', 'lru-cache', 'flatbuffers', 'fast-check', 'pure-rand'];
  await mkdir(join(folder, 'app/node_modules'), { recursive: true });
  const installed = packages.map(name => fixturePath('..', '..', 'node_modules', name));
  await run('cp', ['-r', ...installed, join(folder, 'app/node_modules')]);
  // What fast-check needs is no program's own business.
  const loaded = packages.filter(name => name !== 'pure-rand');
  await rootfs.write('/app/main.cjs', loaded.map(name => `require('${name}');\n`).join(''));
  const { derived, recorded } = await runAndDerive(t, rootfs, [process.execPath, '/app/main.cjs']);
  const modules = ({ loads, ...order }: LoadOrder): LoadOrder => ({
    ...order,
    loads: loads.filter(({ path }) => path.startsWith('/app/')),
  });
  fits(t, { derived: modules(derived), recorded: modules(recorded) });
});

t.test('a C program with a library of its own, found from where the program is', { skip }, async t => {
  const folder = join(await workspace(t), 'c');
  const sources = `${folder}.src`;
  await mkdir(sources);
  await writeFile(
    join(sources, 'part.c'),
    'static const char data[400000] = "part"; const char *part(void) { return data; }\n',
  );
  await writeFile(
    join(sources, 'main.c'),
    '#include <math.h>\n#include <stdio.h>\nconst char *part(void);\nint main(int c, char **v) { return printf("%s %f\\n", part(), cos(c)) < 0; }\n',
  );
  await run('gcc', ['-shared', '-fPIC', '-g', '-o', 'libpart.so.1', '-Wl,-soname,libpart.so.1', 'part.c'], {
    cwd: sources,
  });
  const link = ['-g', '-o', 'tool', 'main.c', 'libpart.so.1', '-lm', '-Wl,-rpath,$ORIGIN/../lib/private'];
  await run('gcc', link, { cwd: sources });
  const [tool, library] = await Promise.all(
    ['tool', 'libpart.so.1'].map(name => readFile(join(sources, name))),
  );
  // The C library and its linker come with any program of the system.
  const rootfs = await makeRootfs(folder, ['/usr/bin/env'], ['/lib/x86_64-linux-gnu/libm.so.6']);
  await rootfs.write('/opt/app/bin/tool', tool as Buffer, 0o755);
  await rootfs.write('/opt/app/lib/private/libpart.so.1', library as Buffer);
  fits(t, await runAndDerive(t, rootfs, ['env', 'LC_ALL=C', '/opt/app/bin/tool']));
});
