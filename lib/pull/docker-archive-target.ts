/**
 * `docker-archive:FILE`: what `docker load` reads, of one image. Layers stay as
 * they are compressed, under the digest of their bytes (as crane names them):
 * docker, skopeo and podman decompress what they read, and whoever copies the
 * image on has the blobs that its registry has.
 */
import { resolve } from 'node:path';
import { ArchiveFiles } from '../registry/archive-files.js';
import type { Descriptor } from '../registry/descriptor.js';
import { DockerArchiveFiles } from '../registry/docker-archive-files.js';
import { DOCKER_ARCHIVE_MANIFEST } from '../registry/docker-manifest.js';
import type { LayoutFiles } from '../registry/layout-files.js';
import { layerCompression } from '../registry/media-types.js';
import { ArchiveDestination } from './archive-destination.js';
import { checkArchive, stagingBeside } from './archive-place.js';
import type { PulledImage } from './pull-content.js';
import type { PullDestination, PullDestinationOptions, PullTarget } from './pull-target.js';
import { StagedFiles } from './staged-files.js';
import { noPlace } from './target-error.js';
import { takeTarget } from './target-turn.js';

const SUFFIX = { gzip: '.tar.gz', zstd: '.tar.zst', uncompressed: '.tar' } as const;

export class DockerArchiveTarget implements PullTarget {
  readonly name: string;
  readonly path: string;
  readonly staging: string;
  readonly #tag: string | undefined;

  /**
   * @param path as it was written
   * @param tag the full name that docker shall know the image by; undefined: that which it has where it comes from
   */
  constructor(path: string, tag: string | undefined) {
    this.name = `docker-archive:${path}`;
    this.path = resolve(path);
    this.staging = stagingBeside(this.path);
    this.#tag = tag;
  }

  async check(signal: AbortSignal): Promise<void> {
    await checkArchive(this, "what 'docker save' writes", DOCKER_ARCHIVE_MANIFEST, signal);
  }

  async open(options: PullDestinationOptions): Promise<PullDestination> {
    const turn = await takeTarget(options);
    const archive = new ArchiveFiles(this.path, this.name);
    const place = {
      name: this.name,
      path: this.path,
      files: await presentFiles(archive, options.signal),
      plan: async (content, parts) => {
        const [image, ...others] = content.images;
        if (image === undefined || others.length > 0 || content.documents.length > 1) {
          throw noPlace(
            this.name,
            'a docker archive has a place for the image of one platform and nothing else',
          );
        }
        const tag = this.#tag ?? content.name;
        const manifest = Buffer.from(JSON.stringify([imageEntry(image, tag)]));
        const staged = new StagedFiles(archive);
        await staged.write(DOCKER_ARCHIVE_MANIFEST, [manifest], options.signal);
        if (parts.complete && staged.changed.size === 0) return undefined;
        const { config, layers } = image.manifest;
        const unique = new Map(layers.map(layer => [layer.digest, layer]));
        return [
          parts.bytes(DOCKER_ARCHIVE_MANIFEST, manifest),
          parts.blob(configName(config), config),
          ...[...unique.values()].map(layer => parts.blob(layerName(layer), layer)),
        ];
      },
      leaveOut: ({ digest }) => {
        throw noPlace(
          this.name,
          `the layer ${digest} is not to be had, and a docker archive cannot be without it`,
        );
      },
    } satisfies ConstructorParameters<typeof ArchiveDestination>[0];
    return new ArchiveDestination(place, turn, options);
  }
}

/** The blobs of an archive that is there, by their digests. */
async function presentFiles(archive: ArchiveFiles, signal: AbortSignal): Promise<LayoutFiles> {
  const isThere = (await archive.size(DOCKER_ARCHIVE_MANIFEST, signal)) !== undefined;
  return isThere ? new DockerArchiveFiles(archive) : archive;
}

/** The image in manifest.json (moby, image/spec/v1.2.md). */
function imageEntry({ manifest }: PulledImage, tag: string | undefined) {
  const { config, layers } = manifest;
  return {
    Config: configName(config),
    RepoTags: tag === undefined ? [] : [tag],
    Layers: layers.map(layerName),
  };
}

function configName(config: Descriptor): string {
  return `${hexOf(config)}.json`;
}

function layerName(layer: Descriptor): string {
  return `${hexOf(layer)}${SUFFIX[layerCompression(layer.mediaType) ?? 'uncompressed']}`;
}

function hexOf({ digest }: Descriptor): string {
  return digest.slice(digest.indexOf(':') + 1);
}
