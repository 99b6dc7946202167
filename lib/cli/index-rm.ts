/** `seekable-oci index rm`: deletes a v1 index that an image has. */
import { removeIndex } from '../soci/remove-index.js';
import type { Command, Invocation } from './command.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', digest = ''] = invocation.operands;
  const dryRun = invocation.options['dry-run'] === true;
  await ImageSession.run(invocation, [operand], async session => {
    const { output, signal, json } = session;
    const image = await removeIndex(session.open(operand), digest, { dryRun, signal });
    if (json) await output.writeJson({ digest, image: image.digest, deleted: !dryRun });
    else await output.write(`${digest}  of ${image.digest}  ${dryRun ? 'could be deleted' : 'deleted'}\n`);
  });
}

export const indexRm: Command = {
  summary: 'Deletes a SOCI index (v1) of an image; the image stays as it is.',
  operands: ['IMAGE', 'DIGEST'],
  options: { 'dry-run': { type: 'boolean', help: 'do everything but delete' }, ...IMAGE_OPTIONS },
  notes: [
    "DIGEST is one that 'index ls' prints. Ztocs stay: other indexes may list them, and registries collect",
    'what nothing needs. Not every registry lets manifests be deleted. Indexes of v2 are part of their image.',
  ],
  run,
};
