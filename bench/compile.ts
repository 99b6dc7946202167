/**
 * Compiles a program of bench/native/ together with the zlib sources that the
 * addon is built from, or with an installed library, at the addon's
 * optimisation level.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
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

/** The pass of ISA-L, when Debian's libisal-dev is there. */
export async function compileIsal(): Promise<string | undefined> {
  if (!existsSync('/usr/include/isa-l/igzip_lib.h')) return undefined;
  const source = join('bench/native', 'isal-pass.c');
  return cached(versioned('isal-pass', source), async partial => {
    await run('cc', [...FLAGS, '-o', partial, source, '-lisal']);
  });
}

function versioned(program: string, source: string): string {
  const version = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12);
  return `${program}-${version}`;
}
