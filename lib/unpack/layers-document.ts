/**
 * How the directories of layers become one file system again: the option that mount(8)
 * wants, and a document beside them that says which layer each is.
 */
import type { UnpackedLayerSummary } from './unpack-result.js';

interface Documented {
  readonly summaries: readonly UnpackedLayerSummary[];
  readonly lowerdir: string;
  /** Whether opaque directories are marked for a mount without privileges. */
  readonly userxattr: boolean;
}

/** @param directories the lowest layer's first; overlayfs wants the highest first */
export function lowerDirectories(directories: readonly string[]): string {
  // A colon ends a path, a comma the option (Documentation/filesystems/overlayfs.rst, "Multiple lower layers").
  return `lowerdir=${directories
    .map(path => path.replace(/[\\:,]/g, '\\$&'))
    .reverse()
    .join(':')}`;
}

/** In the order of the image's manifest, the lowest layer first. */
export function layersDocument({ summaries, lowerdir, userxattr }: Documented): string {
  const described = summaries.map(({ digest, diffId, directory }) => ({ directory, digest, diffId }));
  return `${JSON.stringify({ layers: described, lowerdir, userxattr }, undefined, 2)}\n`;
}
