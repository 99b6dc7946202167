/** The store that a command line names: an option of the commands on images, what the `store` commands are about. */
import type { Store } from '../index.js';
import { type Invocation, type OptionTable, optionBytes, optionText, UsageError } from './command.js';

/** Options of the commands on the store itself. */
export const STORE_OPTIONS: OptionTable = {
  store: { type: 'string', value: 'DIR', help: "the store's directory" },
  json: { type: 'boolean', help: 'print the result as JSON' },
};

/** Undefined when none is named. @throws UsageError; SociError ERR_SOCI_STORE */
export async function storeOf(invocation: Invocation): Promise<Store | undefined> {
  const folder = optionText(invocation, 'store');
  if (folder !== undefined) {
    const { Store } = await import('../store/store.js');
    // What one command is allowed is shared with all that are told so of the same store.
    return await Store.open(folder, { maxBytesPerSecond: optionBytes(invocation, 'max-rate', 1) });
  }
  if (invocation.options['offline'] !== true) return undefined;
  throw new UsageError('--offline: expected --store DIR too, since nothing else is read');
}

/** Runs `body` with the store that must be named. @throws UsageError; SociError ERR_SOCI_STORE */
export async function withStore(
  invocation: Invocation,
  body: (store: Store) => Promise<void>,
): Promise<void> {
  const store = await storeOf(invocation);
  if (store === undefined) throw new UsageError('expected --store DIR');
  try {
    await body(store);
  } finally {
    await store.close();
  }
}
