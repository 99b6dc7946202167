/**
 * IMAGE operands that are folders or files of this machine but lack the prefix
 * that says so: they would be looked for on Docker Hub, or make no reference.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from './command.js';

/** @throws UsageError that names the prefix, when `image` is an OCI layout, another folder, or a tar file here */
export async function refuseLocalPath(image: string): Promise<void> {
  const isPath = /^\.{0,2}\//.test(image) || /\.tar(?:\.gz)?$|\.tgz$/.test(image);
  const found = await stat(image).catch(() => undefined);
  if (found === undefined) return;
  if (found.isFile() && isPath) {
    const shown = JSON.stringify(image);
    throw new UsageError(
      `IMAGE: ${shown} is a file here; expected oci-archive:${image} for an OCI archive (a layer by itself is for the ztoc commands)`,
    );
  }
  if (!found.isDirectory()) return;
  const layout = await stat(join(image, 'index.json')).catch(() => undefined);
  if (!isPath && layout === undefined) return;
  throw new UsageError(
    `IMAGE: ${JSON.stringify(image)} is a folder here; expected oci:${image} for an OCI layout`,
  );
}
