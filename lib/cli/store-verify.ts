/** `seekable-oci store verify`: reads all that a store has. */
import { byteText } from './byte-text.js';
import { type Command, ExitStatus, type Invocation } from './command.js';
import { counted } from './counted.js';
import { STORE_OPTIONS, withStore } from './store-option.js';

async function run(invocation: Invocation): Promise<void> {
  const { output, signal } = invocation;
  const damaged: { digest: string; bytes: number }[] = [];
  await withStore(invocation, async store => {
    const blobs = await store.list({ signal });
    for (const { digest, size, bytes: taken } of blobs) {
      // Without a size there is no journal that says what is there.
      const bytes = size === undefined ? taken : await store.verify({ digest, size }, { signal });
      if (size === undefined) await store.remove(digest, { signal });
      if (bytes > 0) damaged.push({ digest, bytes });
    }
    if (invocation.options['json'] === true) await output.writeJson({ blobs: blobs.length, damaged });
    else {
      await output.write(
        damaged.map(({ digest, bytes }) => `${digest}  ${byteText(bytes)} damaged\n`).join(''),
      );
      await output.write(`${counted(blobs.length, 'blob')}, ${damaged.length} damaged\n`);
    }
  });
  if (damaged.length > 0) throw new ExitStatus(1);
}

export const storeVerify: Command = {
  summary: 'Compares whole blobs of a store with their digests, partial ones with what was written.',
  operands: [],
  options: STORE_OPTIONS,
  notes: [
    'What is damaged is forgotten, and fetched again when it is wanted. Status 1 if there was any. Reads need',
    'no such check: each makes its own.',
  ],
  run,
};
