/** `seekable-oci index verify`: holds every ztoc of an image's index against its layer. */

import { verifyIndex } from '../soci/verify-index.js';
import { byteText } from './byte-text.js';
import { type Command, ExitStatus, type Invocation } from './command.js';
import { usedIndex } from './image-index.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession, shortDigest } from './image-session.js';
import { printable } from './printable.js';

async function run(invocation: Invocation): Promise<void> {
  const [operand = ''] = invocation.operands;
  await ImageSession.run(invocation, [operand], async session => {
    const { output, signal, json, reporter } = session;
    const { repository, reference } = session.open(operand);
    const content = await repository.getManifest(reference, { signal });
    const { image, found } = await usedIndex(session, repository, content);
    const results: Record<string, unknown>[] = [];
    let wrong = 0;
    const onProgress = ({ digest, size }: { digest: string; size: number }, bytes: number): void =>
      reporter.progress(digest, `verifying ${shortDigest(digest)}`, bytes, size);
    for await (const { position, layer, ztoc, error } of verifyIndex(repository, image, found, {
      signal,
      onProgress,
    })) {
      reporter.endBar(layer.digest);
      if (error !== undefined) wrong += 1;
      const outcome = error === undefined ? {} : { code: error.code, message: error.message };
      results.push({ position, layer: layer.digest, ztoc: ztoc.digest, ok: error === undefined, ...outcome });
      if (json) continue;
      const verdict =
        error === undefined ? 'describes the layer' : `is wrong: ${error.message} [${error.code}]`;
      await output.write(
        `${printable(`layer ${position} ${layer.digest} ${byteText(layer.size)}: ztoc ${verdict}`)}\n`,
      );
    }
    if (json) await output.writeJson({ digest: found.descriptor.digest, ok: wrong === 0, ztocs: results });
    else
      await output.write(
        `${found.descriptor.digest}  ${results.length - wrong} of ${results.length} ztocs are right\n`,
      );
    if (wrong > 0) throw new ExitStatus(1);
  });
}

export const indexVerify: Command = {
  summary: 'Proves that the ztocs of an index describe the layers of its image; reads all of those.',
  operands: ['IMAGE'],
  options: IMAGE_OPTIONS,
  notes: [
    'Of the index that reads would use, or that --index names. Ends with status 1 if one ztoc is wrong.',
  ],
  run,
};
