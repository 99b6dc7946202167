/** `seekable-oci inspect`: what an image is made of, from its documents alone. */
import { type Image, type ImageConfig, type ManifestContent, resolveImages, SociError } from '../index.js';
import { artifactAsJson, artifactText, isArtifact } from './artifact-summary.js';
import { byteText } from './byte-text.js';
import type { Command, Invocation } from './command.js';
import { counted } from './counted.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { platformText } from './index-summary.js';
import { printable } from './printable.js';
import { tableText } from './table-text.js';

interface PlatformSummary {
  readonly platform: string;
  readonly digest: string;
  readonly layers: number;
  /** Compressed bytes of the layers. */
  readonly size: number;
}

async function platformsOf(
  session: ImageSession,
  { repository, reference }: ReturnType<ImageSession['open']>,
): Promise<{ root: ManifestContent; platforms: readonly PlatformSummary[]; absent: readonly string[] }> {
  const { root, images, absent } = await resolveImages(repository, reference, { signal: session.signal });
  const platforms = images.map(image => ({
    platform: platformText(image),
    digest: image.descriptor.digest,
    layers: image.manifest.layers.length,
    size: image.manifest.layers.reduce((sum, { size }) => sum + size, 0),
  }));
  return { root, platforms, absent: absent.map(({ digest }) => digest) };
}

function layersOf(image: Image) {
  return image.layers.map(({ descriptor, diffId, ztoc, reason }, position) => ({
    position,
    digest: descriptor.digest,
    size: descriptor.size,
    mediaType: descriptor.mediaType,
    diffId,
    ztoc: ztoc && { digest: ztoc.digest, size: ztoc.size, spanSize: ztoc.spanSize },
    reason,
  }));
}

function indexOf({ index }: Image) {
  const { found } = index ?? {};
  return (
    found && {
      digest: found.descriptor.digest,
      version: found.index.version,
      via: found.via,
      layers: found.covered,
      ztocSize: found.ztocs.reduce((sum, ztoc) => sum + (ztoc?.size ?? 0), 0),
    }
  );
}

/** The members that people look for; anybody's text, so nothing is taken for granted. */
function configLines(config: ImageConfig | undefined): string[] {
  const { User, WorkingDir, Entrypoint, Cmd, Env, Labels } = config?.config ?? {};
  const line = (key: string, value: unknown): string[] =>
    value === undefined || value === null || value === ''
      ? []
      : [`${key.padEnd(12)}${typeof value === 'string' ? value : JSON.stringify(value)}`];
  return [
    ...line('created', config?.created),
    ...line('author', config?.author),
    ...line('user', User),
    ...line('directory', WorkingDir),
    ...line('entrypoint', Entrypoint),
    ...line('command', Cmd),
    ...(Array.isArray(Env) ? Env : []).flatMap(each => line('environment', each)),
    ...Object.entries(Labels ?? {}).flatMap(([name, value]) => line('label', `${name}=${String(value)}`)),
  ];
}

function report(image: Image, { root, platforms, absent }: Awaited<ReturnType<typeof platformsOf>>): string {
  const { digest } = image.manifest.descriptor;
  const index = indexOf(image);
  const lines = [
    `image       ${root.descriptor.digest}`,
    `type        ${root.manifest.mediaType}`,
    ...platforms.map(
      each =>
        `platform    ${each.platform}  ${each.digest}  ` +
        `${byteText(each.size)} in ${counted(each.layers, 'layer')}` +
        (each.digest === digest && platforms.length > 1 ? '  (shown below)' : ''),
    ),
    ...absent.map(each => `absent      ${each}`),
    ...configLines(image.config),
    index === undefined
      ? 'index       none'
      : `index       ${index.digest}  ${index.version}, ` +
        `${byteText(index.ztocSize)} of ztocs for ${counted(index.layers, 'layer')}`,
  ];
  const rows = layersOf(image).map(layer => [
    String(layer.position),
    layer.digest,
    byteText(layer.size),
    layer.ztoc === undefined ? '-' : byteText(layer.ztoc.size),
    layer.mediaType,
  ]);
  const table = tableText([['LAYER', 'DIGEST', 'SIZE', 'ZTOC', 'TYPE'], ...rows]);
  return `${lines.map(line => `${printable(line)}\n`).join('')}\n${table}`;
}

/** The manifest of what names no image at all; rethrows what failed otherwise. */
async function artifactAt(
  session: ImageSession,
  { repository, reference }: ReturnType<ImageSession['open']>,
  error: unknown,
): Promise<ManifestContent> {
  if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_PLATFORM') throw error;
  const { platforms } = error.data as { readonly platforms?: readonly string[] };
  const root = await repository.getManifest(reference, { signal: session.signal });
  if (platforms?.length !== 0 || !isArtifact(root)) throw error;
  return root;
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = ''] = invocation.operands;
  await ImageSession.run(invocation, [operand], async session => {
    const place = session.open(operand);
    const found = await platformsOf(session, place).catch(error => artifactAt(session, place, error));
    if (!('platforms' in found)) {
      if (session.json) await session.output.writeJson(artifactAsJson(found));
      else await session.output.write(artifactText(found));
      return;
    }
    await session.read(operand, async image => {
      if (!session.json) {
        await session.output.write(report(image, found));
        return;
      }
      const { root, platforms, absent } = found;
      const { descriptor, manifest } = image.manifest;
      await session.output.writeJson({
        digest: root.descriptor.digest,
        mediaType: root.manifest.mediaType,
        platforms,
        absent,
        manifest: {
          digest: descriptor.digest,
          mediaType: manifest.mediaType,
          annotations: manifest.annotations,
        },
        config: image.config,
        index: indexOf(image) ?? null,
        layers: layersOf(image),
      });
    });
  });
}

export const inspect: Command = {
  summary:
    'Prints what an image is made of: platforms, config, layers, SOCI index. Fetches no layer and no ztoc.',
  operands: ['IMAGE'],
  options: IMAGE_OPTIONS,
  notes: [
    'What is no image (a SOCI index, an attestation, a chart) is shown with its type, subject and blobs.',
    'Config, index and layers are those of the platform that a read would take, or of --platform.',
  ],
  run,
};
