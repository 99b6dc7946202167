// Compares DEFLATE engines: ours, zlib 1.3.1, node:zlib, and, when their
// Debian packages (libdeflate-dev, libisal-dev) are installed, libdeflate and
// ISA-L. Makes corpora out of files of this machine, compresses them with the
// writers that are installed, and prints throughput in MB of output per second
// of processor time, medians of interleaved rounds.
// Usage: node bench/native/engines/run.mjs [--rounds N] [--size MB] [--json FILE]
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { inflateRawSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../../..');
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    size: { type: 'string', default: '24' },
    json: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
const corpusSize = Number(options.size) * 2 ** 20;

const CORPORA = {
  elf: "find /usr/lib -type f -name '*.so*' -size -40M",
  python: "find /usr/lib/python3* -type f -name '*.py'",
  javascript: `find '${join(root, 'node_modules')}/' -type f -name '*.js'`,
  text: 'find /usr/share/doc /usr/share/common-licenses -type f -name copyright',
  random: undefined,
};
const WRITERS = {
  gzip: { command: 'gzip', args: ['-6', '-n', '-c'] },
  go: { command: 'go', args: [], build: buildGoWriter },
  pigz: { command: 'pigz', args: ['-n', '-c'] },
  igzip: { command: 'igzip', args: ['-1', '-c'] },
  zopfli: { command: 'zopfli', args: ['--i1', '-c'], share: 1 / 12 },
};

function shell(script, input) {
  const result = spawnSync('bash', ['-c', script], { input, maxBuffer: 2 ** 31 });
  return result.stdout;
}

function available(command) {
  return spawnSync('which', [command]).status === 0;
}

function compile(folder) {
  const zlib = join(root, execFileSync('node', ['native/zlib-dir.cjs'], { cwd: root }).toString());
  const core = join(root, 'native/core');
  const optional = [
    { name: 'libdeflate', header: 'libdeflate.h', define: 'BENCH_LIBDEFLATE', library: 'deflate' },
    { name: 'isal', header: 'isa-l/igzip_lib.h', define: 'BENCH_ISAL', library: 'isal' },
  ].filter(({ header }) => existsSync(join('/usr/include', header)));
  const objects = [];
  const build = (compiler, source, flags) => {
    const object = join(folder, `${source.replaceAll('/', '_')}.o`);
    execFileSync(compiler, ['-O3', '-fvisibility=hidden', `-I${zlib}`, ...flags, '-c', source, '-o', object]);
    objects.push(object);
  };
  for (const name of ['adler32', 'crc32', 'inffast', 'inflate', 'inftrees', 'zutil'])
    build('cc', join(zlib, `${name}.c`), ['-w']);
  const cxx = ['-std=c++17', `-I${core}`, ...optional.map(({ define }) => `-D${define}`)];
  for (const name of ['fast_inflater', 'fast_inflater_pair', 'fast_loop', 'fast_pair_loop', 'fast_tables'])
    build('c++', join(core, `${name}.cc`), cxx);
  const engines = ['engine_zlib', 'engine_fast', ...optional.map(({ name }) => `engine_${name}`)];
  for (const name of ['stream', 'main', ...engines]) build('c++', join(here, `${name}.cc`), cxx);
  const program = join(folder, 'engines');
  execFileSync('c++', [...objects, ...optional.map(({ library }) => `-l${library}`), '-o', program]);
  return program;
}

// Go comes with no such command, only with the package. No module and a cache of
// our own: the build asks no proxy and leaves nothing behind.
function buildGoWriter(folder) {
  const program = join(folder, 'gzip-writer');
  execFileSync('go', ['build', '-o', program, join(here, 'gzip-writer/main.go')], {
    env: { ...process.env, GO111MODULE: 'off', GOFLAGS: '', GOCACHE: join(folder, 'go-cache') },
  });
  return program;
}

function corpus(name) {
  if (CORPORA[name] === undefined) return shell(`head -c ${corpusSize} /dev/urandom`);
  return shell(`${CORPORA[name]} | sort | tar -cf - -T - 2>/dev/null | head -c ${corpusSize}`);
}

// All of our writers leave the ten-byte header of `-n` or a name after it.
function rawDeflate(gzip) {
  const start = gzip[3] & 8 ? gzip.indexOf(0, 10) + 1 : 10;
  return gzip.subarray(start, -8);
}

function nodeSpeed(path, out) {
  const deflate = rawDeflate(readFileSync(path));
  const seconds = [];
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    inflateRawSync(deflate, { chunkSize: out });
    const { user, system } = process.cpuUsage(before);
    seconds.push((user + system) / 1e6);
  }
  seconds.sort((a, b) => a - b);
  return out / seconds[seconds.length >> 1] / 1e6;
}

const folder = mkdtempSync(join(tmpdir(), 'soci-engines-'));
try {
  const program = compile(folder);
  const writers = Object.entries(WRITERS)
    .filter(([, { command }]) => available(command))
    .map(([writer, { command, build, ...rest }]) => ({
      writer,
      command: build?.(folder) ?? command,
      ...rest,
    }));
  const rows = [];
  for (const name of Object.keys(CORPORA)) {
    const data = corpus(name);
    for (const { writer, command, args, share = 1 } of writers) {
      if (data.length === 0 || (share < 1 && name === 'random')) continue;
      const plain = join(folder, 'plain');
      const path = join(folder, `${name}.${writer}.gz`);
      writeFileSync(plain, data.subarray(0, data.length * share));
      writeFileSync(
        path,
        execFileSync(command, [...args, plain], { maxBuffer: 2 ** 31, stdio: ['ignore', 'pipe', 'ignore'] }),
      );
      const row = JSON.parse(execFileSync(program, [String(rounds), path]).toString());
      row['node'] = nodeSpeed(path, row.out);
      row.file = `${name} ${writer}`;
      rows.push(row);
      const ours = row['fast 4M'];
      const ratio = other => (row[other] === undefined ? '-' : (ours / row[other]).toFixed(2));
      console.log(
        `${row.file.padEnd(18)} x${(row.out / row.in).toFixed(1)}  ours 4M ${ours.toFixed(0)} MB/s` +
          `  /zlib ${ratio('zlib')}  /node ${ratio('node')}  /libdeflate ${ratio('libdeflate')}` +
          `  /isal 4M ${ratio('isal 4M')}  pairs ${(row['fast 4M pairs'] / ours).toFixed(2)}  256K/4M ${(row['fast 256K'] / ours).toFixed(2)}` +
          `  per span ${resumeMicroseconds(row)} us`,
      );
      rmSync(path);
    }
  }
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(rows, null, 2));
} finally {
  rmSync(folder, { recursive: true });
}

// What each further span costs: the same bytes in many spans and in few.
function resumeMicroseconds(row) {
  const seconds = trial => row.out / row[trial] / 1e6;
  const more = row.spans['256K'] - row.spans['4M'];
  return (((seconds('fast 256K') - seconds('fast 4M')) / more) * 1e6).toFixed(1);
}
