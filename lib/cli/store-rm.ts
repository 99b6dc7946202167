/** `seekable-oci store rm`: removes blobs, or names of images. */
import { isDigest } from '../registry/digest.js';
import { removeName } from '../store/image-names.js';
import { type Command, ExitStatus, type Invocation } from './command.js';
import { printable } from './printable.js';
import { STORE_OPTIONS, withStore } from './store-option.js';

async function run(invocation: Invocation): Promise<void> {
  const { operands, output, errors, signal } = invocation;
  const removed: string[] = [];
  const kept: string[] = [];
  await withStore(invocation, async store => {
    for (const operand of operands) {
      const isGone = isDigest(operand)
        ? await store.remove(operand, { signal })
        : await removeName(store, operand, signal);
      (isGone ? removed : kept).push(operand);
    }
    if (invocation.options['json'] === true) await output.writeJson({ removed, kept });
    else await output.write(removed.map(operand => `${printable(operand)}  removed\n`).join(''));
  });
  if (kept.length === 0) return;
  for (const operand of kept) {
    const why = isDigest(operand) ? 'a process has pinned it' : 'no image has this name';
    errors.write(`${printable(operand)}: ${why}\n`);
  }
  throw new ExitStatus(1);
}

export const storeRm: Command = {
  summary: 'Removes blobs from a store, or the names of images, whose blobs then go when room is needed.',
  operands: ['DIGEST|NAME…'],
  options: STORE_OPTIONS,
  notes: ["NAME is what 'store ls' shows. Status 1 when something is not removed, which is told."],
  run,
};
