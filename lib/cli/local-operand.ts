/**
 * IMAGE operands that are folders or files of this machine but lack the prefix
 * that says so: they would be looked for on Docker Hub, or make no reference.
 */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ArchiveFiles } from '../registry/archive-files.js';
import { DOCKER_ARCHIVE_MANIFEST } from '../registry/docker-manifest.js';
import { parseImageLocation } from '../registry/image-location.js';
import { UsageError } from './command.js';

/** What an archive is, as far as its members tell. */
async function prefixOf(path: string): Promise<string> {
  const archive = new ArchiveFiles(resolve(path), path);
  try {
    const has = async (name: string) => (await archive.size(name)) !== undefined;
    if (await has('index.json')) return `oci-archive:${path}, it is an OCI archive`;
    if (await has(DOCKER_ARCHIVE_MANIFEST)) return `docker-archive:${path}, it is what docker save writes`;
  } catch {
    // Compressed, cut short, or no tar: whoever opens it by its prefix is told so.
  } finally {
    await archive.close();
  }
  return `oci-archive:${path} for an OCI archive, docker-archive:${path} for what docker save writes (a layer by itself is for the ztoc commands)`;
}

/**
 * A folder behind the prefix of archives, or a file behind that of layouts.
 *
 * @throws UsageError that names the right one
 */
async function refuseWrongPrefix(image: string): Promise<void> {
  const location = parseImageLocation(image);
  if (location.kind === 'registry') return;
  const { kind, path } = location;
  const found = await stat(path).catch(() => undefined);
  const shown = JSON.stringify(path);
  if (kind === 'layout' && found?.isFile()) {
    throw new UsageError(`IMAGE: ${shown} is a file; expected ${await prefixOf(path)}`);
  }
  if (kind !== 'layout' && found?.isDirectory()) {
    throw new UsageError(`IMAGE: ${shown} is a folder; expected oci:${path} for an OCI layout`);
  }
}

/** @throws UsageError that names the prefix, when `image` is an OCI layout, another folder, or a tar file here */
export async function refuseLocalPath(image: string): Promise<void> {
  if (/^(?:oci|oci-archive|docker-archive):/.test(image)) await refuseWrongPrefix(image);
  const isPath = /^\.{0,2}\//.test(image) || /\.tar(?:\.gz)?$|\.tgz$/.test(image);
  const found = await stat(image).catch(() => undefined);
  if (found === undefined) return;
  if (found.isFile() && isPath) {
    const shown = JSON.stringify(image);
    throw new UsageError(`IMAGE: ${shown} is a file here; expected ${await prefixOf(image)}`);
  }
  if (!found.isDirectory()) return;
  const layout = await stat(join(image, 'index.json')).catch(() => undefined);
  if (!isPath && layout === undefined) return;
  throw new UsageError(
    `IMAGE: ${JSON.stringify(image)} is a folder here; expected oci:${image} for an OCI layout`,
  );
}
