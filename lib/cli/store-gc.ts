/** `seekable-oci store gc`: removes what was not used for longest. */
import { byteText } from './byte-text.js';
import { type Command, type Invocation, optionBytes } from './command.js';
import { STORE_OPTIONS, withStore } from './store-option.js';

async function run(invocation: Invocation): Promise<void> {
  const { output, signal } = invocation;
  const maxBytes = optionBytes(invocation, 'max-size', 0);
  await withStore(invocation, async store => {
    const { removed, left } = await store.collect({ maxBytes, signal });
    const bytes = removed.reduce((sum, blob) => sum + blob.bytes, 0);
    if (invocation.options['json'] === true) {
      await output.writeJson({
        directory: store.root,
        removed: removed.length,
        removedBytes: bytes,
        bytes: left,
      });
    } else await output.write(`${store.root}: ${byteText(bytes)} removed, ${byteText(left)} left\n`);
  });
}

export const storeGc: Command = {
  summary: 'Removes the blobs of a store that were not used for longest, until no more than a size is left.',
  operands: [],
  options: {
    'max-size': {
      type: 'string',
      value: 'SIZE',
      help: 'what may stay (default 10GiB, or a tenth of the file system)',
    },
    ...STORE_OPTIONS,
  },
  notes: [
    'It happens by itself while a store grows. Images that have a name stay, and what a process has pinned;',
    'whoever reads a blob that goes reads on.',
  ],
  run,
};
