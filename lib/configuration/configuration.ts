/**
 * The configuration file of Seekable OCI: the reference's TOML, whole, so that a node's
 * file means the same here. It is written by hand and read at the start, so that what is
 * wrong is refused with its place, and what makes no difference is said once.
 */
import { open } from 'node:fs/promises';
import { checkOptions } from '../arguments.js';
import { abortable } from '../async/abortable.js';
import { invalidArgument } from '../errors.js';
import { ConfigurationReading } from './configuration-fault.js';
import type { ValuesOf } from './key.js';
import { KEYS } from './key-table.js';
import { TableReading } from './table-reading.js';

/** A file with a thousand mirrors has half of that; every level of a dotted key costs some 600 bytes meanwhile. */
const MAX_TEXT = 256 * 1024;
/** Of arrays and inline tables; the deepest key needs 3. */
const MAX_DEPTH = 16;
const LONE_SURROGATE = /\p{Surrogate}/u;
/** What layers are compressed with that a program of one's own may unpack. */
const STREAMS: readonly string[] = ['gzip', 'zstd'];

type ConfigurationValues = ValuesOf<typeof KEYS>;

/** All sections and keys of the file in camel case, with their defaults, frozen; docs/configuration.md lists them. */
export interface Configuration extends ConfigurationValues {
  /** What the file says that is unknown or without meaning here, a sentence each. */
  readonly warnings: readonly string[];
}

export interface ParseConfigurationOptions {
  /** What messages call the text. Default: `the configuration`. */
  readonly path?: string | undefined;
}

export interface ReadConfigurationOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The configuration that `text` is.
 *
 * @throws SociError ERR_SOCI_CONFIGURATION with `data.key`, or `data.line` and `data.column` of what is no TOML
 */
export async function parseConfiguration(
  text: string,
  options: ParseConfigurationOptions = {},
): Promise<Configuration> {
  checkOptions('parseConfiguration', options, { path: true });
  if (typeof text !== 'string') throw invalidArgument('the text of a configuration', 'a string', text);
  const reading = new ConfigurationReading(options.path ?? 'the configuration');
  if (text.length > MAX_TEXT) {
    throw reading.fault(`expected at most ${MAX_TEXT} characters, found ${text.length}`);
  }
  if (LONE_SURROGATE.test(text)) throw reading.fault('expected UTF-8, found half of a character');
  return configurationOf(await parsedToml(text, reading), reading);
}

/** What a file says that says nothing. */
export function defaultConfiguration(): Configuration {
  return configurationOf({}, new ConfigurationReading('the defaults'));
}

/**
 * The configuration in `file`, which must be there.
 *
 * @throws SociError ERR_SOCI_CONFIGURATION; `data.reason` is the system's code for a file that cannot be read
 */
export async function readConfiguration(
  file: string,
  options: ReadConfigurationOptions = {},
): Promise<Configuration> {
  checkOptions('readConfiguration', options, { signal: true });
  if (typeof file !== 'string') throw invalidArgument('the file of a configuration', 'a path', file);
  options.signal?.throwIfAborted();
  const reading = new ConfigurationReading(file);
  let bytes: Uint8Array;
  try {
    bytes = await abortable(leadingBytes(file, MAX_TEXT + 1), options.signal);
  } catch (cause) {
    options.signal?.throwIfAborted();
    const reason = (cause as NodeJS.ErrnoException).code;
    throw reading.fault(`cannot be read (${reason})`, { reason }, cause);
  }
  if (bytes.length > MAX_TEXT) throw reading.fault(`expected at most ${MAX_TEXT} bytes, found more`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw reading.fault('expected UTF-8, found other bytes', {}, cause);
  }
  return await parseConfiguration(text, { path: file });
}

/** At most `most` bytes: the file may be a pipe, or a device that never ends. */
async function leadingBytes(file: string, most: number): Promise<Uint8Array> {
  const handle = await open(file);
  try {
    const bytes = new Uint8Array(most);
    let length = 0;
    while (length < most) {
      const { bytesRead } = await handle.read(bytes, length, most - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await handle.close();
  }
}

async function parsedToml(
  text: string,
  reading: ConfigurationReading,
): Promise<Readonly<Record<string, unknown>>> {
  // Loaded here: it would add 7 % to the time of loading this library, and few programs have such a file.
  const { parse, TomlError } = await import('smol-toml');
  try {
    // Integers as bigint: they are told from floats, and do not lose digits before anybody looks.
    return parse(text, { integersAsBigInt: true, maxDepth: MAX_DEPTH });
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw reading.fault('not TOML', {}, cause);
    const { line, column } = cause;
    // Only the first line: the others show the text itself.
    const reason = cause.message.split('\n', 1)[0]?.replace('Invalid TOML document: ', '');
    throw reading.fault(`line ${line}, column ${column}: not TOML: ${reason}`, { line, column }, cause);
  }
}

function configurationOf(
  document: Readonly<Record<string, unknown>>,
  reading: ConfigurationReading,
): Configuration {
  const values = new TableReading(reading).read(KEYS, document);
  checkLimits(values, reading);
  const { enable, parallelPullAsFallback, discardUnpackedLayers, decompressStreams } =
    values.pullModes.parallelPullUnpack;
  const containerd = values.contentStore.type === 'containerd';
  if ((enable || parallelPullAsFallback === true) && !containerd && !discardUnpackedLayers) {
    reading.warn(
      'parallel pulls need neither content_store.type = "containerd" nor discard_unpacked_layers here; the reference would not start',
    );
  }
  for (const algorithm of Object.keys(decompressStreams)) {
    if (!STREAMS.includes(algorithm)) reading.meaningless(`decompress_streams.${algorithm.slice(0, 100)}`);
  }
  return Object.freeze({ ...values, warnings: reading.warnings() });
}

/** In the reference's words. Any limit per image goes with an unlimited total, and no limit per image with any total. */
function checkLimits({ pullModes }: ConfigurationValues, reading: ConfigurationReading): void {
  const limits = pullModes.parallelPullUnpack;
  const pairs = [
    ['download', limits.maxConcurrentDownloads, limits.maxConcurrentDownloadsPerImage],
    ['unpack', limits.maxConcurrentUnpacks, limits.maxConcurrentUnpacksPerImage],
  ] as const;
  const faults = pairs
    .filter(([, total, perImage]) => total > 0 && perImage > total)
    .map(
      ([what, total, perImage]) =>
        `global ${what} limit less than per-image ${what} limit (max_concurrent_${what}s = ${total}, max_concurrent_${what}s_per_image = ${perImage})`,
    );
  const key = 'pull_modes.parallel_pull_unpack';
  if (faults.length > 0) throw reading.fault(`${key}: ${faults.join('; ')}`, { key });
}
