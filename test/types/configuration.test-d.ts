/** The types of the configuration file, as a program that is checked strictly sees them. */
import {
  type Configuration,
  defaultConfiguration,
  fastPullLimits,
  formatConfiguration,
  PULL_PRESETS,
  type PullLimits,
  parseConfiguration,
  readConfiguration,
} from 'seekable-oci';
import { expectType } from './equal.js';

declare const signal: AbortSignal | undefined;
declare const text: string | undefined;

export async function configurations(): Promise<void> {
  const configuration = await readConfiguration('config.toml', { signal });
  expectType<Configuration>()(configuration);
  expectType<Configuration>()(await parseConfiguration('', { path: text }));
  expectType<string>()(await formatConfiguration(defaultConfiguration()));
  expectType<readonly string[]>()(configuration.warnings);
  expectType<number>()(configuration.http.dialTimeoutMsec);
  expectType<'newest' | 'oldest'>()(configuration.backgroundFetch.dropPolicy);
  expectType<boolean>()(configuration.pullModes.sociV2.enable);
  const parallel = configuration.pullModes.parallelPullUnpack;
  expectType<boolean | undefined>()(parallel.parallelPullAsFallback);
  expectType<number>()(parallel.concurrentDownloadChunkSize);
  expectType<readonly string[] | undefined>()(parallel.decompressStreams['gzip']?.args);
  expectType<boolean | undefined>()(configuration.resolver.host['docker.io']?.mirrors[0]?.insecure);
  expectType<PullLimits>()(fastPullLimits({ cores: 1, memoryBytes: 1 }));
  expectType<number>()(PULL_PRESETS.reference({ cores: 1, memoryBytes: 1 }).maxConcurrentUnpacks);
  // @ts-expect-error: a key that there is not
  configuration.pullModes.parallelPullUnpack.maxConcurrentUploads;
  // @ts-expect-error: it does not change
  configuration.debug = true;
  // @ts-expect-error: an option that there is not
  await parseConfiguration('', { file: 'config.toml' });
}
