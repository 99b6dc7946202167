/** `seekable-oci index info`: what one SOCI index holds. */
import {
  type ManifestContent,
  parseSociIndex,
  type Repository,
  SOCI_INDEX_TYPE,
  type SociIndex,
} from '../index.js';
import { byteText } from './byte-text.js';
import type { Command, Invocation } from './command.js';
import { usedIndex } from './image-index.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { printable } from './printable.js';

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
  const { descriptor, bytes } = content;
  if (isSociIndex(content)) {
    const index = parseSociIndex(bytes, `${repository.name}@${descriptor.digest}`);
    return { digest: descriptor.digest, bytes, index, image: index.subject?.digest, via: 'digest' };
  }
  const { image, found } = await usedIndex(session, repository, content);
  const { digest } = found.descriptor;
  return { digest, bytes: found.bytes, index: found.index, image: image.descriptor.digest, via: found.via };
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
      await session.output.write(report(described));
      return;
    }
    const { digest, bytes, index, image, via } = described;
    const { version, buildToolIdentifier: buildTool, ztocs, prefetches } = index;
    const document: unknown = JSON.parse(Buffer.from(bytes).toString());
    await session.output.writeJson({ digest, version, via, image, buildTool, ztocs, prefetches, document });
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
