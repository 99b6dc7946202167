/**
 * An image with Debian's Python, made of the machine's own files, and what a real
 * start of a program in it reads: recorded by strace, in order and by ranges.
 * Layers: a system, of which the program needs a little; Python.
 */
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { importTrace, openImage, type TraceRead } from '../lib/index.js';
import { INDEXED, layoutImage } from './layout-image.js';
import { run } from './process.js';
import { cached } from './workspace.js';

const PYTHON = '/usr/bin/python3';
const PROGRAM = 'import json, http.client, sqlite3, asyncio';
const PYTHON_FILES = /^\/usr\/(bin\/python|lib\/python)/;
/** Of files of the system layer beside what the program reads: as a minimal system with some packages has. */
const SYSTEM_BYTES = 150e6;
const MAX_FILE_BYTES = 30e6;
const READ_CALLS = 'open,openat,read,pread64,mmap,execve,lseek,close';

export interface PythonImage {
  /** An OCI layout, with an index. */
  readonly layout: string;
  /** In the order in which they were made. */
  readonly reads: readonly TraceRead[];
  readonly description: string;
}

/** Undefined where Python or strace is not installed. */
export async function pythonImage(): Promise<PythonImage | undefined> {
  const hasStrace = await run('sh', ['-c', 'command -v strace || true']);
  if (!existsSync(PYTHON) || hasStrace.trim() === '') return undefined;
  const folder = await cached('python-image', async partial => {
    mkdirSync(partial);
    const log = join(partial, 'strace.log');
    // Once unrecorded: the second run finds its byte code, as one in an image does.
    for (const args of [[], ['strace', '-f', '-y', '-ttt', '-e', READ_CALLS, '-o', log]]) {
      const command = [...args, PYTHON, '-E', '-s', '-c', PROGRAM];
      await run(command[0] as string, command.slice(1));
    }
    const used = [...new Set(readFileSync(log, 'utf8').match(/(?<=<)\/(?:usr|etc|lib)[^<>]*(?=>)/g))];
    const system = used.filter(path => !PYTHON_FILES.test(path));
    await packLayer(join(partial, 'system.tar.gz'), system, ['/usr/lib/x86_64-linux-gnu', '/usr/bin']);
    await packLayer(
      join(partial, 'python.tar.gz'),
      ['/usr/bin/python3', '/usr/bin/python3.11'],
      ['/usr/lib/python3.11', '/usr/lib/python3'],
    );
  });
  const layers = ['system.tar.gz', 'python.tar.gz'].map(name => join(folder, name));
  const layout = await layoutImage('python-layout', layers);
  await using image = await openImage(`oci:${layout}:${INDEXED}`);
  const { trace } = await importTrace(image, createReadStream(join(folder, 'strace.log')));
  const megabytes = layers.map(path => (statSync(path).size / 1e6).toFixed(0)).join(' and ');
  const files = new Set(trace.reads.map(({ path }) => path)).size;
  return {
    layout,
    reads: trace.reads,
    description: `Debian's Python on a system of this machine's files, layers of ${megabytes} MB; what python3 -c '${PROGRAM}' reads, by strace: ${files} files`,
  };
}

/** The links of a merged /usr, the files that are named, and those below `roots` up to so many bytes. */
async function packLayer(path: string, files: readonly string[], roots: readonly string[]): Promise<void> {
  const list = `${path}.list`;
  const there = roots.filter(root => existsSync(root));
  const script = `find "$@" -xdev -type f -size -${MAX_FILE_BYTES}c -printf '%s %p\\n' -o -type l -printf '0 %p\\n' |
    awk -v limit=${SYSTEM_BYTES} '{ bytes += $1; if (bytes > limit) exit; sub(/^[0-9]+ /, ""); print }'`;
  const more = await run('bash', ['-c', script, 'bash', ...there]);
  const links = ['/lib', '/lib64', '/bin'].filter(link => existsSync(link));
  const all = new Set([
    ...links,
    ...files.filter(file => existsSync(file)),
    ...more.split('\n').filter(Boolean),
  ]);
  writeFileSync(list, `${[...all].join('\n')}\n`);
  const pack =
    '(tar -cf - --no-recursion --verbatim-files-from -T "$0" 2>/dev/null || [ $? -eq 1 ]) | gzip -6n > "$1"';
  await run('bash', ['-c', `set -o pipefail; ${pack}`, list, path]);
  rmSync(list);
}
