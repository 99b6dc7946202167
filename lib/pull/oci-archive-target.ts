/**
 * `oci-archive:FILE`: an OCI image layout in a tar. An archive that is there gets
 * the image added, as it does from all that writes one here.
 */
import { resolve } from 'node:path';
import { ArchiveFiles, layoutPaths } from '../registry/archive-files.js';
import { blobPath } from '../registry/layout-files.js';
import { ArchiveDestination } from './archive-destination.js';
import { checkArchive, stagingBeside } from './archive-place.js';
import type { PullDestination, PullDestinationOptions, PullTarget } from './pull-target.js';
import { StagedFiles, writeDocuments } from './staged-files.js';
import { takeTarget } from './target-turn.js';

export class OciArchiveTarget implements PullTarget {
  readonly name: string;
  readonly path: string;
  readonly staging: string;
  readonly #tag: string | undefined;

  /** @param path as it was written */
  constructor(path: string, tag: string | undefined) {
    this.name = `oci-archive:${path}`;
    this.path = resolve(path);
    this.staging = stagingBeside(this.path);
    this.#tag = tag;
  }

  async check(signal: AbortSignal): Promise<void> {
    await checkArchive(this, 'an OCI archive', 'index.json', signal);
  }

  async open(options: PullDestinationOptions): Promise<PullDestination> {
    const turn = await takeTarget(options);
    const files = new ArchiveFiles(this.path, this.name);
    const tag = this.#tag;
    const place = {
      name: this.name,
      path: this.path,
      files,
      plan: async (content, parts) => {
        const { signal } = options;
        const staged = new StagedFiles(files);
        await writeDocuments(staged, content, tag, signal);
        if (parts.complete && staged.changed.size === 0) return undefined;
        const blobs = new Map(content.blobs.map(blob => [blobPath(blob.digest), blob]));
        const paths = layoutPaths([
          ...(await files.paths(signal)),
          ...staged.changed.keys(),
          ...blobs.keys(),
        ]);
        return await Promise.all(
          paths.map(async path => {
            const bytes = staged.changed.get(path);
            if (bytes !== undefined) return parts.bytes(path, bytes);
            const blob = blobs.get(path);
            if (blob !== undefined) return parts.blob(path, blob);
            return parts.file(path, (await files.size(path, signal)) ?? 0, path);
          }),
        );
      },
      leaveOut: () => {},
    } satisfies ConstructorParameters<typeof ArchiveDestination>[0];
    return new ArchiveDestination(place, turn, options);
  }
}
