/** `seekable-oci index info`: what one SOCI index holds. */
import { SociError } from '../errors.js';
import {
  findIndex,
  type ManifestContent,
  parsePlatform,
  parseSociIndex,
  type Repository,
  SOCI_INDEX_TYPE,
  type SociIndex,
  selectManifest,
} from '../index.js';
import { selectForHost } from '../registry/platform-selection.js';
import { byteText } from './byte-text.js';
import type { Command, Invocation } from './command.js';
import { IMAGE_OPTIONS, ImageSession } from './image-session.js';
import { printable } from './printable.js';
import { writeJson, writeOut } from './standard-output.js';

interface Described {
  readonly digest: string;
  readonly bytes: Uint8Array;
  readonly index: SociIndex;
  /** The image manifest that it serves. */
  readonly image: string | undefined;
  readonly via: 'digest' | 'annotation' | 'referrer';
}

function isSociIndex({ manifest }: ManifestContent): boolean {
  return manifest.kind === 'manifest' && Object.values(SOCI_INDEX_TYPE).includes(manifest.config.mediaType);
}

async function describe(
  session: ImageSession,
  repository: Repository,
  content: ManifestContent,
): Promise<Described> {
  const { signal } = session;
  const { descriptor, bytes } = content;
  if (isSociIndex(content)) {
    const index = parseSociIndex(bytes, `${repository.name}@${descriptor.digest}`);
    return { digest: descriptor.digest, bytes, index, image: index.subject?.digest, via: 'digest' };
  }
  const platform = session.onePlatform;
  // As reads choose.
  const image =
    platform === undefined
      ? await selectForHost(repository, content, { signal })
      : await selectManifest(repository, content, parsePlatform(platform), { signal });
  const search = await findIndex(repository, image, { index: session.index, signal });
  if (search.found !== undefined) {
    const { found } = search;
    const { digest } = found.descriptor;
    return { digest, bytes: found.bytes, index: found.index, image: image.descriptor.digest, via: found.via };
  }
  const failed = search.attempts.find(({ outcome }) => outcome === 'unreachable');
  if (failed !== undefined) throw failed.error;
  const reasons = search.attempts.map(({ message }) => message).join('; ');
  throw new SociError(
    'ERR_SOCI_REGISTRY_NOT_FOUND',
    `${repository.name}@${image.descriptor.digest} has no SOCI index: ${reasons}`,
  );
}

const VIA_TEXT = {
  digest: 'named by its digest',
  annotation: 'named by the image',
  referrer: 'refers to the image',
} as const;

function report({ digest, index, image, via }: Described): string {
  const lines = [
    `index   ${digest}, ${index.version}, ${VIA_TEXT[via]}`,
    ...(image === undefined ? [] : [`image   ${image}`]),
    `tool    ${index.buildToolIdentifier ?? 'not said'}`,
    ...index.ztocs.map(({ digest: ztoc, size, layerDigest, spanSize, disableXattrs }) => {
      const spans = spanSize === undefined ? '' : `, spans of ${byteText(spanSize)}`;
      return `ztoc    ${ztoc} for layer ${layerDigest}, ${byteText(size)}${spans}${disableXattrs ? ', no xattrs' : ''}`;
    }),
    ...index.prefetches.map(
      ({ digest: artifact, size, layerDigest }) =>
        `fetch   ${artifact} for layer ${layerDigest}, ${byteText(size)}`,
    ),
  ];
  return lines.map(line => `${printable(line)}\n`).join('');
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = ''] = invocation.operands;
  await ImageSession.run(invocation, [operand], async session => {
    const { repository, reference } = session.open(operand);
    const content = await repository.getManifest(reference, { signal: session.signal });
    const described = await describe(session, repository, content);
    if (!session.json) {
      await writeOut(report(described));
      return;
    }
    const { digest, bytes, index, image, via } = described;
    const { version, buildToolIdentifier: buildTool, ztocs, prefetches } = index;
    const document: unknown = JSON.parse(Buffer.from(bytes).toString());
    await writeJson({ digest, version, via, image, buildTool, ztocs, prefetches, document });
  });
}

export const indexInfo: Command = {
  summary: 'Prints what a SOCI index holds: that of an image, or the one that a digest names.',
  operands: ['IMAGE|DIGEST'],
  options: IMAGE_OPTIONS,
  notes: [
    'An index itself is named like any manifest: registry/repo@sha256:…, oci:DIR@sha256:….',
    '--json has the document as it is, too.',
  ],
  run,
};
