/** `seekable-oci store du`: what a store takes up, by what it is. */
import type { KeptBlob } from '../index.js';
import { byteText } from './byte-text.js';
import type { Command, Invocation } from './command.js';
import { STORE_OPTIONS, withStore } from './store-option.js';
import { tableText } from './table-text.js';

function sumOf(blobs: readonly KeptBlob[]): { blobs: number; bytes: number } {
  return { blobs: blobs.length, bytes: blobs.reduce((sum, { bytes }) => sum + bytes, 0) };
}

async function run(invocation: Invocation): Promise<void> {
  const { output, signal } = invocation;
  await withStore(invocation, async store => {
    const blobs = await store.list({ signal });
    const named = await store.named({ signal });
    const sums = {
      whole: sumOf(blobs.filter(({ state }) => state === 'whole')),
      partial: sumOf(blobs.filter(({ state }) => state === 'partial')),
      named: sumOf(blobs.filter(({ digest }) => named.has(digest))),
      total: sumOf(blobs),
    };
    if (invocation.options['json'] === true) {
      await output.writeJson({ directory: store.root, maxBytes: store.maxBytes, ...sums });
      return;
    }
    const rows = Object.entries(sums).map(([what, sum]) => [what, String(sum.blobs), byteText(sum.bytes)]);
    await output.write(
      tableText([['', 'BLOBS', 'ON DISK'], ...rows, ['limit', '', byteText(store.maxBytes)]]),
    );
  });
}

export const storeDu: Command = {
  summary: 'Adds up what the blobs of a store take up on the disk.',
  operands: [],
  options: STORE_OPTIONS,
  notes: ['What is named is counted among the whole and the partial ones, too.'],
  run,
};
