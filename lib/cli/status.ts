/** `seekable-oci status`: how much of an image a store has. */
import type { ImageBlobCompletion } from '../index.js';
import { byteText } from './byte-text.js';
import { type Command, type Invocation, UsageError } from './command.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { tableText } from './table-text.js';

function stateOf({ present, proved, refused, diffId }: ImageBlobCompletion): string {
  if (proved) return diffId === undefined ? 'proved' : `proved, its diffID ${diffId}`;
  const state = present === 0 ? 'missing' : 'in part';
  return refused === undefined ? state : `${state}, refused: had ${refused}`;
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = ''] = invocation.operands;
  await ImageSession.run(invocation, [operand], async session => {
    if (session.store === undefined) throw new UsageError('expected --store DIR');
    await session.read(operand, async image => {
      const { output, signal } = session;
      const completion = await image.completion({ signal });
      if (completion === undefined) {
        throw new UsageError('status: expected an image of a registry; this one is on this machine anyway');
      }
      const { blobs, present, size, proved } = completion;
      if (session.json) {
        await output.writeJson({ digest: image.manifest.descriptor.digest, ...completion });
        return;
      }
      const rows = blobs.map(blob => [
        blob.digest,
        byteText(blob.size),
        byteText(blob.present),
        stateOf(blob),
      ]);
      await output.write(tableText([['DIGEST', 'SIZE', 'THERE', 'STATE'], ...rows]));
      const share = ((100 * present) / Math.max(1, size)).toFixed(1);
      const whole = proved ? 'all of it, proved' : `${share} %`;
      await output.write(`${byteText(present)} of ${byteText(size)}: ${whole}\n`);
    });
  });
}

export const status: Command = {
  summary: 'Tells how much of an image a store has: its manifest, its config and its layers.',
  operands: ['IMAGE'],
  options: IMAGE_OPTIONS,
  notes: ['Asks the registry which image is meant, unless --offline or a digest says it; reads no layer.'],
  run,
};
