/** `seekable-oci ztoc fetch`: the ztoc that an image's index lists for a layer, as a file. */
import { SociError } from '../errors.js';
import { loadZtoc } from '../index.js';
import { byteText } from './byte-text.js';
import { type Command, type Invocation, optionText, UsageError } from './command.js';
import { usedIndex } from './image-index.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { OutputFile } from './output-file.js';

/** Fewer hex digits of a digest may be those of several layers. */
const DIGEST_PREFIX = /^(?:sha256:)?([0-9a-f]{8,64})$/;

/** The position that a number or a digest, or its beginning, means. @throws UsageError */
function layerPosition(text: string, digests: readonly string[]): number {
  const found = /^\d{1,7}$/.test(text)
    ? Number(text)
    : digests.findIndex(digest => digest.startsWith(`sha256:${DIGEST_PREFIX.exec(text)?.[1] ?? '?'}`));
  if (digests[found] !== undefined) return found;
  throw new UsageError(
    `LAYER: expected 0 to ${digests.length - 1}, or the digest of a layer of the image, received '${text}'`,
  );
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', layerText = ''] = invocation.operands;
  const target = optionText(invocation, 'output');
  if (target === undefined) {
    throw new UsageError('ztoc fetch: expected -o FILE (or -o - for standard output)');
  }
  await ImageSession.run(invocation, [operand], async session => {
    const { output, signal, json } = session;
    const { repository, reference } = session.openKept(operand);
    const content = await repository.getManifest(reference, { signal });
    const { image, found } = await usedIndex(session, repository, content);
    const { layers } = image.manifest;
    const position = layerPosition(
      layerText,
      layers.map(({ digest }) => digest),
    );
    const [layer, listed] = [layers[position], found.ztocs[position]];
    if (layer === undefined || listed === undefined) {
      throw new SociError(
        'ERR_SOCI_NO_ZTOC',
        `${repository.name}: the index ${found.descriptor.digest} has no ztoc for layer ${position} (${layer?.digest})`,
      );
    }
    const file = await OutputFile.open(target, output);
    try {
      const { digest, bytes } = await loadZtoc(repository, listed, layer, { signal });
      await file.write(bytes);
      await file.commit();
      if (target === '-') return;
      if (json)
        await output.writeJson({
          digest,
          size: bytes.length,
          layerDigest: layer.digest,
          layerSize: layer.size,
        });
      else await output.write(`${digest}  ${byteText(bytes.length)} for layer ${position} ${layer.digest}\n`);
    } finally {
      await file.dispose();
    }
  });
}

export const ztocFetch: Command = {
  summary: "Writes the ztoc that an image's index has for a layer to a file.",
  operands: ['IMAGE', 'LAYER'],
  options: {
    output: { type: 'string', short: 'o', value: 'FILE', help: 'where the ztoc goes; - is standard output' },
    ...IMAGE_OPTIONS,
  },
  notes: ['LAYER is its position, the lowest being 0, or its digest, or eight digits of that or more.'],
  run,
};
