/**
 * A real image of several layers, made of the machine's own files, in the storage
 * of a docker-registry: `bench/v1`, with an index that refers to it, and
 * `bench/v2`, converted. Its lowest layers are a system, the upper ones Node.js
 * and an application with its packages; the last one is too small for a ztoc.
 */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  convertImage,
  createIndex,
  FileSource,
  openImage,
  openImageLocation,
  pushIndex,
  RegistryTransport,
  type Repository,
} from '../lib/index.js';
import { hasDockerRegistry, startDockerRegistry } from './docker-registry.js';
import { LAYER_TYPE, type PushedLayer, pushImageManifest, sha256OfFile } from './image-manifest.js';
import { loopback } from './link.js';
import { run } from './process.js';
import { cached } from './workspace.js';

/** What is read, and what the image is, kept beside the storage. */
export interface MachineImage {
  readonly storage: string;
  /** Compressed and plain bytes of all layers, entries of all ztocs. */
  readonly bytes: number;
  readonly plainBytes: number;
  readonly layers: number;
  readonly names: number;
  readonly smallFile: string;
  /** 100 files from all over the image. */
  readonly scattered: readonly string[];
  /** 100 files of one application package, in the order of the listing. */
  readonly together: readonly string[];
}

interface LayerRecipe {
  /** Files and folders, absolute or relative to the repository. */
  readonly roots: readonly string[];
  /** Bytes of files at most. */
  readonly limit: number;
  /** In the image, instead of their place on this machine. */
  readonly folder?: string;
}

const RECIPES: readonly LayerRecipe[] = [
  {
    roots: ['/etc/os-release', '/etc/debian_version', '/etc/alternatives', '/usr/lib/os-release', '/usr/bin'],
    limit: 130e6,
  },
  { roots: ['/usr/lib', '/lib64'], limit: 190e6 },
  { roots: ['/usr/share'], limit: 80e6 },
  { roots: [process.execPath, join(dirname(process.execPath), '../lib/node_modules')], limit: 200e6 },
  { roots: ['node_modules'], limit: 130e6, folder: 'app/' },
  { roots: ['package.json', 'README.md', 'LICENSE', 'lib'], limit: 5e6, folder: 'app/' },
];
const MAX_FILE_BYTES = 150e6;
const SMALL_FILE = '/usr/lib/os-release';
const FILES = 100;
const MAX_READ_BYTES = 1e6;

/** Made once and kept; undefined when there is no docker-registry. */
export async function machineImage(): Promise<MachineImage | undefined> {
  if (!hasDockerRegistry()) return undefined;
  const folder = await cached('machine-image', async partial => {
    mkdirSync(partial);
    const about = await pushImage(partial);
    writeFileSync(join(partial, 'about.json'), JSON.stringify(about));
  });
  const about = JSON.parse(readFileSync(join(folder, 'about.json'), 'utf8')) as Omit<MachineImage, 'storage'>;
  return { ...about, storage: join(folder, 'storage') };
}

async function pushImage(folder: string): Promise<Omit<MachineImage, 'storage'>> {
  const registry = await startDockerRegistry(join(folder, 'storage'), loopback());
  const transport = new RegistryTransport({ credentials: null, env: {} });
  try {
    const source = openImageLocation(`${registry.host}/bench/v1:latest`, transport);
    const layers = await pushLayers(source.repository, folder);
    await pushIndex(await createIndex(source));
    await convertImage(source, openImageLocation(`${registry.host}/bench/v2:latest`, transport));
    const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
    return {
      bytes: sum(layers.map(({ size }) => size)),
      plainBytes: sum(layers.map(({ plainSize }) => plainSize)),
      layers: layers.length,
      ...(await pickFiles(`${registry.host}/bench/v2:latest`, transport)),
    };
  } finally {
    await transport.close();
    await registry.stop();
  }
}

async function pushLayers(
  repository: Repository,
  folder: string,
): Promise<{ readonly size: number; readonly plainSize: number }[]> {
  const layers = [];
  for (const recipe of RECIPES) layers.push(await pushLayer(repository, join(folder, 'layer.tar'), recipe));
  await pushImageManifest(repository, layers, 'latest');
  return layers;
}

async function pushLayer(
  repository: Repository,
  tar: string,
  { roots, limit, folder = '' }: LayerRecipe,
): Promise<PushedLayer & { readonly plainSize: number }> {
  const base = folder === '' ? '/' : process.cwd();
  // Files in the order of find, until there are enough. What vanishes meanwhile does not matter here.
  const script = `cd "$1" && shift && limit=$1 && shift
    find "$@" -xdev -name '.?*' -type d -prune -o \\( -type f -size -${MAX_FILE_BYTES}c -printf '%s %p\\n' -o \\( -type d -o -type l \\) -printf '0 %p\\n' \\) |
    awk -v limit="$limit" '{ bytes += $1; if (bytes > limit) exit; sub(/^[0-9]+ \\/?/, ""); print }'`;
  const rooted = roots.map(root => (folder === '' ? resolve(root) : root));
  writeFileSync(`${tar}.list`, await run('bash', ['-c', script, 'bash', base, String(limit), ...rooted]));
  const rename = folder === '' ? [] : [`--transform=s,^,${folder},S`];
  const packed = ['-C', base, '-cf', tar, ...rename, '--no-recursion', '--verbatim-files-from', '-T'];
  await run('bash', ['-c', 'tar "$@" 2>/dev/null || [ $? -eq 1 ]', 'bash', ...packed, `${tar}.list`]);
  const diffId = await sha256OfFile(tar);
  const plainSize = statSync(tar).size;
  await run('gzip', ['-6n', tar]);
  const { size } = statSync(`${tar}.gz`);
  const descriptor = { mediaType: LAYER_TYPE, digest: await sha256OfFile(`${tar}.gz`), size };
  const source = await FileSource.open(`${tar}.gz`);
  await repository.pushBlob(descriptor, source);
  await source.close();
  for (const file of [`${tar}.gz`, `${tar}.list`]) rmSync(file);
  return { ...descriptor, diffId, plainSize };
}

async function pickFiles(
  reference: string,
  transport: RegistryTransport,
): Promise<Pick<MachineImage, 'names' | 'smallFile' | 'scattered' | 'together'>> {
  const image = await openImage(reference, { transport });
  try {
    const entries = await image.readdir('/', { recursive: true, withFileTypes: true });
    const files: string[] = [];
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && (await image.stat(path)).size <= MAX_READ_BYTES) files.push(path);
    }
    const spread = Array.from(
      { length: FILES },
      (_, i) => files[Math.floor(((i + 0.5) * files.length) / FILES)] as string,
    );
    const packages = new Map<string, string[]>();
    for (const path of files) {
      const name = /^\/app\/node_modules\/[^/]+\//.exec(path)?.[0];
      if (name !== undefined) packages.set(name, [...(packages.get(name) ?? []), path]);
    }
    const [largest = []] = [...packages.values()].sort((a, b) => b.length - a.length);
    const together = largest.slice(0, FILES);
    if (together.length < FILES) throw new Error(`no package of ${FILES} files`);
    return { names: entries.length, smallFile: SMALL_FILE, scattered: spread, together };
  } finally {
    await image.close();
  }
}
