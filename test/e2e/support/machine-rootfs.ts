/**
 * Root file systems made of this machine's own files, without a distribution's
 * tools: programs with the libraries that ldd says they load, at their own places
 * with all links on the way there, and what the dynamic linker is configured with.
 */
import { lstatSync, readlinkSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import type { Repository } from '../../../lib/registry/repository.js';
import { type PushOptions, packLayer, pushImage, type SampleImage } from '../../image/sample-image.js';
import { run } from './process.js';

const CONFIGURATION = ['/etc/ld.so.cache', '/etc/ld.so.conf', '/etc/ld.so.conf.d', '/etc/nsswitch.conf'];

/** Everything that a path needs to lead where it leads here: links among its directories, and itself. */
function withLinks(path: string): string[] {
  const needed = new Set<string>();
  const visit = (wanted: string, depth: number): void => {
    let at = '/';
    for (const name of wanted.split('/').filter(part => part !== '')) {
      at = posix.join(at, name);
      const stats = lstatSync(at, { throwIfNoEntry: false });
      if (stats === undefined || depth > 40) return;
      if (!stats.isSymbolicLink()) continue;
      needed.add(at);
      const rest = wanted.slice(at.length);
      visit(posix.resolve(dirname(at), readlinkSync(at)) + rest, depth + 1);
      return;
    }
    needed.add(at);
  };
  visit(path, 0);
  return [...needed];
}

/** Paths of libraries, and of the linker, that programs or libraries load. */
async function librariesOf(objects: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const object of objects) {
    const listed = (await run('ldd', [object]).catch(() => Buffer.alloc(0))).toString();
    for (const [, path = ''] of listed.matchAll(/(\/[^\s:]+) \(0x/g)) found.add(path);
  }
  return [...found];
}

export interface Rootfs {
  readonly folder: string;
  /** Files of its own, by path. */
  write(path: string, content: string | Uint8Array, mode?: number): Promise<void>;
  push(repository: Repository, options: PushOptions): Promise<SampleImage>;
}

/** @param paths Programs, libraries and folders of this machine. */
export async function makeRootfs(
  folder: string,
  programs: readonly string[],
  paths: readonly string[],
): Promise<Rootfs> {
  const wanted = [...programs, ...paths, ...CONFIGURATION, ...(await librariesOf(programs))];
  const all = [...new Set(wanted.flatMap(withLinks))].map(path => path.slice(1));
  await mkdir(folder, { recursive: true });
  const list = `${folder}.list`;
  await writeFile(list, all.join('\n'));
  const script =
    'cd / && tar -c --exclude=__phello__ --exclude=test --exclude=config-3.* -T "$1" 2>/dev/null | tar -x -C "$2"';
  await run('bash', ['-c', script, 'bash', list, folder]);
  await rm(list);
  return {
    folder,
    write: async (path, content, mode = 0o644) => {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content, { mode });
    },
    push: async (repository, options) => {
      const tar = `${folder}.tar`;
      await run('tar', ['-c', '--sort=name', '-f', tar, '-C', folder, '.']);
      const layer = packLayer(await readFile(tar), 'uncompressed');
      await rm(tar);
      return await pushImage(repository, [layer], options);
    },
  };
}
