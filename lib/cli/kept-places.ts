/**
 * Where a command on images keeps things between runs: the cache directory, which
 * there is unless nobody has a home here, and the store, if one is named.
 */
import type { Store } from '../index.js';
import { defaultCacheDirectory, defaultCacheFault, makeCacheDirectory } from './cache-directory.js';
import { type Invocation, type OptionTable, optionText } from './command.js';
import type { Reporter } from './reporter.js';
import { storeOf } from './store-option.js';

export const KEPT_OPTIONS: OptionTable = {
  'cache-dir': {
    type: 'string',
    value: 'DIR',
    help: 'for what is kept: ztocs, indexes, unpacked layers',
  },
  store: {
    type: 'string',
    value: 'DIR',
    help: 'keep all that is fetched of registries there, for any number of processes',
  },
  offline: { type: 'boolean', help: 'read what the store has, and send no request' },
};

export interface KeptPlaces {
  /** Undefined when there is none that can be used. */
  readonly cacheDirectory: string | undefined;
  /** Of `--store`. */
  readonly store: Store | undefined;
}

/** @throws UsageError; SociError ERR_SOCI_STORE; the system's error for a cache directory that was named */
export async function keptPlaces(invocation: Invocation, reporter: Reporter): Promise<KeptPlaces> {
  return { cacheDirectory: await cacheDirectory(invocation, reporter), store: await storeOf(invocation) };
}

async function cacheDirectory(invocation: Invocation, reporter: Reporter): Promise<string | undefined> {
  const chosen = optionText(invocation, 'cache-dir');
  if (chosen !== undefined) {
    await makeCacheDirectory(chosen);
    return chosen;
  }
  const usual = defaultCacheDirectory(invocation.env);
  const fault = usual === undefined ? 'HOME names no directory' : await defaultCacheFault(usual);
  if (fault === undefined) return usual;
  reporter.line(`nothing is kept for the next time (--cache-dir): ${fault}`);
  return undefined;
}
