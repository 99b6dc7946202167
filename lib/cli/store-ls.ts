/** `seekable-oci store ls`: what a store has. */
import { listNames } from '../store/image-names.js';
import { byteText } from './byte-text.js';
import type { Command, Invocation } from './command.js';
import { counted } from './counted.js';
import { timeText } from './file-entry.js';
import { STORE_OPTIONS, withStore } from './store-option.js';
import { tableText } from './table-text.js';

async function run(invocation: Invocation): Promise<void> {
  const { output, signal } = invocation;
  await withStore(invocation, async store => {
    const blobs = await store.list({ signal });
    const named = await store.named({ signal });
    const names = await listNames(store, signal);
    const bytes = blobs.reduce((sum, blob) => sum + blob.bytes, 0);
    if (invocation.options['json'] === true) {
      await output.writeJson({
        directory: store.root,
        bytes,
        maxBytes: store.maxBytes,
        names,
        blobs: blobs.map(({ digest, state, size, bytes: taken, usedAt }) => ({
          digest,
          state,
          size,
          bytes: taken,
          used: timeText(Math.floor(usedAt)),
          named: named.has(digest),
        })),
      });
      return;
    }
    const rows = blobs.map(({ digest, state, size, bytes: taken, usedAt }) => [
      state,
      digest,
      size === undefined ? '-' : byteText(size),
      byteText(taken),
      timeText(Math.floor(usedAt / 1000) * 1000),
      named.has(digest) ? 'named' : '',
    ]);
    const head = ['STATE', 'DIGEST', 'SIZE', 'ON DISK', 'USED', ''];
    if (rows.length > 0) await output.write(tableText([head, ...rows]));
    if (names.length > 0) {
      await output.write(tableText([['NAME', 'DIGEST'], ...names.map(({ name, digest }) => [name, digest])]));
    }
    const of = `${byteText(bytes)} of ${byteText(store.maxBytes)}`;
    await output.write(`${store.root}: ${of} in ${counted(blobs.length, 'blob')}\n`);
  });
}

export const storeLs: Command = {
  summary: 'Lists the blobs of a store, the least recently used first, and the names of its images.',
  operands: [],
  options: STORE_OPTIONS,
  notes: [
    'whole: all of it is there, and had its digest; partial: as far as it was read. What is named stays,',
    'the others go when their room is needed.',
  ],
  run,
};
