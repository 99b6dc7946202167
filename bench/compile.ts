/**
 * Compiles a program of bench/native/ together with the zlib sources that the
 * addon is built from, or with an installed library, at the addon's
 * optimisation level.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from './process.js';
import { cached } from './workspace.js';

const ZLIB_SOURCES = ['adler32', 'crc32', 'inffast', 'inflate', 'inftrees', 'zutil'];
const FLAGS = ['-O3', '-w', '-DHAVE_UNISTD_H'];

export async function compile(program: 'span-loop' | 'inflate-pass'): Promise<string> {
  const source = join('bench/native', `${program}.c`);
  return cached(versioned(program, source), async partial => {
    const zlib = resolve(execFileSync(process.execPath, ['native/zlib-dir.cjs'], { encoding: 'utf8' }));
    const files = [source, ...ZLIB_SOURCES.map(name => join(zlib, `${name}.c`))];
    await run('cc', [...FLAGS, '-I', zlib, '-o', partial, ...files]);
  });
}

/** core-loop, over the native core as the addon holds it. */
export async function compileCoreLoop(): Promise<string> {
  const source = 'bench/native/core-loop.cc';
  const core = readdirSync('native/core').map(name => join('native/core', name));
  return cached(versioned('core-loop', source, ...core), async partial => {
    const zlib = resolve(execFileSync(process.execPath, ['native/zlib-dir.cjs'], { encoding: 'utf8' }));
    const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-core-loop-'));
    const objects: string[] = [];
    const object = async (compiler: string, file: string, ...flags: string[]) => {
      objects.push(join(folder, `${objects.length}.o`));
      await run(compiler, [...FLAGS, '-I', zlib, ...flags, '-c', file, '-o', objects.at(-1) as string]);
    };
    for (const name of ZLIB_SOURCES) await object('cc', join(zlib, `${name}.c`));
    for (const file of [source, ...core.filter(name => name.endsWith('.cc'))]) {
      await object('c++', file, '-std=c++17', '-fno-exceptions', '-fno-rtti', '-I', 'native/core');
    }
    await run('c++', [...objects, '-o', partial]);
    rmSync(folder, { recursive: true });
  });
}

/** The pass of ISA-L, when Debian's libisal-dev is there. */
export async function compileIsal(): Promise<string | undefined> {
  if (!existsSync('/usr/include/isa-l/igzip_lib.h')) return undefined;
  const source = join('bench/native', 'isal-pass.c');
  return cached(versioned('isal-pass', source), async partial => {
    await run('cc', [...FLAGS, '-o', partial, source, '-lisal']);
  });
}

function versioned(program: string, ...sources: string[]): string {
  const hash = createHash('sha256');
  for (const source of sources) hash.update(readFileSync(source));
  return `${program}-${hash.digest('hex').slice(0, 12)}`;
}
