/** `seekable-oci cache prune`: removes what was not used for longest. */
import { DEFAULT_MAX_CACHE_BYTES, pruneCache } from '../files/cache-folder.js';
import { byteText } from './byte-text.js';
import { CACHE_OPTIONS, chosenCacheDirectory } from './cache-directory.js';
import { type Command, type Invocation, optionBytes, UsageError } from './command.js';

async function run(invocation: Invocation): Promise<void> {
  const { output } = invocation;
  const all = invocation.options['all'] === true;
  const size = optionBytes(invocation, 'max-size', 0);
  if (all && size !== undefined) throw new UsageError('expected either --all or --max-size');
  const directory = chosenCacheDirectory(invocation);
  const { removed, left } = await pruneCache(directory, all ? 0 : (size ?? DEFAULT_MAX_CACHE_BYTES));
  const bytes = removed.reduce((sum, file) => sum + file.size, 0);
  if (invocation.options['json'] === true) {
    await output.writeJson({ directory, removed: removed.length, removedSize: bytes, size: left });
  } else await output.write(`${directory}: ${byteText(bytes)} removed, ${byteText(left)} left\n`);
}

export const cachePrune: Command = {
  summary: 'Removes what was not used for longest, until no more than a size is left.',
  operands: [],
  options: {
    'max-size': { type: 'string', value: 'SIZE', help: 'what may stay (default 10GiB)' },
    all: { type: 'boolean', help: 'remove everything' },
    ...CACHE_OPTIONS,
  },
  notes: ['Only files that are named as ours are removed. Others may read and write meanwhile.'],
  run,
};
