/**
 * Images as other tools make them, in OCI layouts: umoci, buildah, and by hand
 * with a layer from every gzip writer. And what umoci says is in an image.
 */
import { createHash } from 'node:crypto';
import { link, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { sampleBytes } from '../../registry/fixture.js';
import { GZIP_WRITERS, gzipWith } from './gzip-writers.js';
import { run } from './process.js';
import { readTree, type TreeEntry, tarOf, writeSampleTree } from './sample-tree.js';

const ROOT = process.getuid?.() === 0;
const ROOTLESS = ROOT ? [] : ['--rootless'];

/** buildah mounts its working containers, which others than root may do in a name space of their own only. */
export const BUILDAH_NEEDS_ROOT: string | false = ROOT ? false : 'buildah is tried as root only';

/** A change to a root file system that becomes a layer. */
type Step = (root: string) => Promise<void>;

/** Whiteouts of files, folders and links; a file becomes a folder, a folder a file; a hard link inside a layer. */
const STEPS: readonly Step[] = [
  async root => {
    await writeSampleTree(root, 'pax');
    await mkdir(join(root, 'etc/gone'), { recursive: true });
    await writeFile(join(root, 'etc/os-release'), 'NAME="first"\n');
    await writeFile(join(root, 'etc/gone/file'), 'gone\n');
    await writeFile(join(root, 'etc/becomes-folder'), 'a file\n');
    await mkdir(join(root, 'etc/becomes-file'));
    await writeFile(join(root, 'etc/becomes-file/inside'), 'inside\n');
    await symlink('os-release', join(root, 'etc/link'));
  },
  async root => {
    await rm(join(root, 'etc/gone'), { recursive: true });
    await rm(join(root, 'sizes/512'));
    await rm(join(root, 'big/symbolic-link'));
    await rm(join(root, 'etc/becomes-folder'));
    await mkdir(join(root, 'etc/becomes-folder'));
    await writeFile(join(root, 'etc/becomes-folder/now'), 'a folder\n');
    await rm(join(root, 'etc/becomes-file'), { recursive: true });
    await writeFile(join(root, 'etc/becomes-file'), 'a file now\n');
    await writeFile(join(root, 'etc/os-release'), 'NAME="second"\n');
  },
  async root => {
    await mkdir(join(root, 'etc/gone'));
    await writeFile(join(root, 'etc/gone/back'), 'back\n');
    await rename(join(root, 'usr/lib/code'), join(root, 'usr/lib/moved'));
    await writeFile(join(root, 'opt'), sampleBytes(300_000, 9));
    await link(join(root, 'opt'), join(root, 'opt-again'));
    await rm(join(root, 'etc/link'));
    await symlink('/etc/gone/back', join(root, 'etc/link'));
  },
];

/** `layout:tag` with one layer for each step, made by `umoci repack`. */
export async function umociImage(folder: string, layout: string, tag: string): Promise<void> {
  const image = `${layout}:${tag}`;
  await run('umoci', ['init', '--layout', layout]);
  await run('umoci', ['new', '--image', image]);
  for (const [index, step] of STEPS.entries()) {
    const bundle = join(folder, `bundle-${index}`);
    await run('umoci', ['unpack', ...ROOTLESS, '--image', image, bundle]);
    await step(join(bundle, 'rootfs'));
    await run('umoci', ['repack', '--image', image, bundle]);
  }
  await run('umoci', [
    'config',
    '--image',
    image,
    '--config.env',
    'GREETING=hello',
    '--architecture',
    'arm64',
  ]);
}

/** `target` is any image name that buildah writes to. */
export async function buildahImage(folder: string, target: string): Promise<void> {
  const storage = [
    '--storage-driver',
    'vfs',
    '--root',
    join(folder, 'root'),
    '--runroot',
    join(folder, 'run'),
  ];
  const env = { BUILDAH_ISOLATION: 'chroot' };
  const buildah = async (...args: readonly string[]): Promise<string> =>
    (await run('buildah', [...storage, ...args], { env })).toString().trim();
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'policy.json'), '{"default": [{"type": "insecureAcceptAnything"}]}');
  const commit = ['commit', '--quiet', '--signature-policy', join(folder, 'policy.json')];
  let base = 'scratch';
  for (const [index, step] of STEPS.entries()) {
    const container = await buildah('from', '--pull-never', base);
    await step(await buildah('mount', container));
    await buildah('umount', container);
    base = `localhost/step:${index}`;
    await buildah(...commit, container, index === STEPS.length - 1 ? target : base);
  }
}

/** `layout:tag` with a layer from each gzip writer, every one a folder of its own; without any tool for images. */
export async function writersImage(folder: string, layout: string, tag: string): Promise<void> {
  await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
  const put = async (bytes: Uint8Array, mediaType: string): Promise<Record<string, unknown>> => {
    const hex = sha256(bytes);
    await writeFile(join(layout, 'blobs/sha256', hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const layers: unknown[] = [];
  const diffIds: string[] = [];
  for (const [index, writer] of GZIP_WRITERS.entries()) {
    const root = join(folder, `writer-${index}`);
    await writeSampleTree(join(root, `writer-${index}`), 'gnu', true);
    const tar = await tarOf(root, 'gnu');
    diffIds.push(`sha256:${sha256(tar)}`);
    layers.push(await put(await gzipWith(writer, tar), 'application/vnd.oci.image.layer.v1.tar+gzip'));
  }
  const platform = { architecture: 'amd64', os: 'linux' };
  const config = json({ ...platform, config: {}, rootfs: { type: 'layers', diff_ids: diffIds } });
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: await put(config, 'application/vnd.oci.image.config.v1+json'),
    layers,
  };
  const entry = await put(json(manifest), manifest.mediaType);
  const annotations = { 'org.opencontainers.image.ref.name': tag };
  await writeFile(
    join(layout, 'index.json'),
    json({ schemaVersion: 2, manifests: [{ ...entry, platform, annotations }] }),
  );
  await writeFile(join(layout, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
}

/** The files of an image, as umoci unpacks it: an independent reading of the image specification. */
export async function unpackedTree(
  folder: string,
  layout: string,
  tag: string,
): Promise<Map<string, TreeEntry>> {
  await run('umoci', ['unpack', ...ROOTLESS, '--image', `${layout}:${tag}`, folder]);
  return await readTree(join(folder, 'rootfs'));
}

/**
 * The files of one layer, whiteouts among them, as Python reads it. Unpacking would not do: umoci writes whiteouts
 * below what is a file in the same layer.
 */
export async function layerTree(layer: Uint8Array): Promise<Map<string, TreeEntry>> {
  const entries = JSON.parse(
    (await run('python3', ['-c', LIST_TAR], { input: layer })).toString(),
  ) as PythonEntry[];
  return new Map(
    entries.map(({ name, type, mode, target, content }) => [
      name,
      type === 'file' ? { type, mode, content: Buffer.from(content, 'base64') } : { type, target },
    ]),
  );
}

interface PythonEntry {
  readonly name: string;
  readonly type: TreeEntry['type'];
  readonly mode: number;
  readonly target: string;
  readonly content: string;
}

const LIST_TAR = `
import base64, io, json, posixpath, sys, tarfile
tar = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()), mode='r:gz')
entries = []
for member in tar:
    name = posixpath.normpath(member.name)
    if name == '.':
        continue
    entry = dict(name=name, mode=member.mode & 0o7777, target=member.linkname, content='')
    entry['type'] = 'dir' if member.isdir() else 'symlink' if member.issym() else 'file'
    if entry['type'] == 'file':
        entry['content'] = base64.b64encode(tar.extractfile(member).read()).decode()
    entries.append(entry)
json.dump(entries, sys.stdout)
`;

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
