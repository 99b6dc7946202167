/**
 * Proves that a ztoc describes a layer: the layer is indexed again, with
 * checkpoints at the ztoc's own positions, and everything it says is compared.
 * That covers what no digest inside a ztoc covers: windows, the table of
 * contents, the sizes.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import type { EngineName } from '../binding.js';
import { SociError } from '../errors.js';
import { quoteByteString } from '../tar/byte-string.js';
import type { TocEntry } from '../tar/entry.js';
import { compareEntry } from '../tar/entry-header.js';
import { splitDigests } from './build.js';
import { type IndexPassResult, indexLayer } from './index-pass.js';
import { isRangeSource, type LayerInput, layerName } from './layer-input.js';
import { DEFAULT_ZTOC_LIMITS, type ZtocLimits } from './limits.js';
import { Ztoc } from './ztoc.js';

export interface VerifyZtocOptions {
  /** Default 'fast'. */
  readonly engine?: EngineName | undefined;
  /** As of buildZtoc. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes of the layer that have been worked through so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

const VERIFY_OPTIONS: OptionNames<VerifyZtocOptions> = {
  engine: true,
  threads: true,
  signal: true,
  onProgress: true,
};

/**
 * Resolves when every size, entry, checkpoint, window and span digest of the
 * ztoc is that of the layer. Times are compared as instants, since the
 * reference writes its builder's time zone.
 *
 * @throws SociError ERR_SOCI_ZTOC_MISMATCH { field, index, expected, found } for
 *   the first difference, where `expected` is what the ztoc says; the errors of
 *   buildZtoc for a layer that cannot be read at all; what `Ztoc.decode` throws for
 *   a ztoc that was given as its bytes
 */
export async function verifyZtoc(
  input: LayerInput,
  expected: Ztoc | Uint8Array,
  options: VerifyZtocOptions = {},
): Promise<void> {
  checkOptions('verify', options, VERIFY_OPTIONS);
  const ztoc = expected instanceof Ztoc ? expected : Ztoc.decode(expected);
  const name = layerName(input);
  if (isRangeSource(input)) compare(name, 'compressedSize', undefined, ztoc.compressedSize, input.size);
  let index = 0;
  const result = await indexLayer(input, {
    codec: ztoc.codec,
    spanSize: spanSizeOf(ztoc),
    diffId: false,
    engine: options.engine,
    threads: options.threads,
    checkpointsAt: ztoc.checkpointRows(),
    impliedFirstCheckpoint: ztoc.impliedFirstCheckpoint,
    limits: limitsFor(ztoc),
    signal: options.signal,
    onProgress: options.onProgress,
    onEntry: ({ entry }) => {
      verifyEntryAt(name, ztoc, index, entry);
      index += 1;
    },
  }).catch(error => {
    throw missedCheckpoint(name, ztoc, error) ?? error;
  });
  compare(name, 'entryCount', undefined, ztoc.entryCount, index);
  compare(name, 'compressedSize', undefined, ztoc.compressedSize, result.compressedSize);
  compare(name, 'uncompressedSize', undefined, ztoc.uncompressedSize, result.tarEnd);
  verifySpans(name, ztoc, result);
}

function verifyEntryAt(name: string | undefined, ztoc: Ztoc, index: number, found: TocEntry): void {
  if (index >= ztoc.entryCount) {
    throw mismatch(
      undefined,
      'entryCount',
      index,
      ztoc.entryCount,
      `one more: ${quoteByteString(found.fields.name)}`,
    );
  }
  const entry = ztoc.entry(index);
  const difference = compareEntry(entry, found);
  if (difference === undefined) return;
  throw mismatch(name, difference.field, index, difference.expected, difference.found, entry);
}

function verifySpans(name: string | undefined, ztoc: Ztoc, result: IndexPassResult): void {
  const digests = splitDigests(result.spanDigests);
  compare(name, 'spanCount', undefined, ztoc.spanCount, digests.length);
  const indexed = result.codec.parse(result.codec.indexed(result, spanSizeOf(ztoc)), {
    compressedSize: result.compressedSize,
    uncompressedSize: result.tarEnd,
  });
  for (let i = 0; i < ztoc.spanCount; i += 1) {
    const span = ztoc.span(i);
    const found = indexed.span(i, digests[i] as string);
    // An implied first checkpoint is nowhere in particular.
    const start = i === 0 && ztoc.impliedFirstCheckpoint ? span.compressedStart : found.compressedStart;
    compare(name, 'compressedStart', i, span.compressedStart, start);
    compare(name, 'uncompressedStart', i, span.uncompressedStart, found.uncompressedStart);
    compare(name, 'bits', i, span.bits, found.bits);
    verifyWindow(name, i, ztoc.window(i), indexed.window(i));
    compare(name, 'digest', i, span.digest, found.digest);
  }
}

/** Old ztocs may state none; with the checkpoints' own positions it does not matter. */
function spanSizeOf(ztoc: Ztoc): number {
  return Math.max(ztoc.spanSize, 1);
}

function verifyWindow(
  name: string | undefined,
  index: number,
  expected: Uint8Array | undefined,
  found: Uint8Array | undefined,
): void {
  if (expected === undefined || found === undefined) return;
  if (Buffer.compare(expected, found) === 0) return;
  const at = expected.findIndex((byte, i) => byte !== found[i]);
  throw mismatch(name, 'window', index, `byte ${at} is ${expected[at]}`, `byte ${at} is ${found[at]}`);
}

/** Bytes of the layer consumed where span `index` starts. */
function checkpointInput(ztoc: Ztoc, index: number): number {
  const { compressedStart, bits } = ztoc.span(index);
  return compressedStart + (bits === 0 ? 0 : 1);
}

/** A ztoc that could be decoded may be verified, whatever limits were raised for that. */
function limitsFor(ztoc: Ztoc): ZtocLimits {
  return {
    ...DEFAULT_ZTOC_LIMITS,
    maxSpans: Math.max(DEFAULT_ZTOC_LIMITS.maxSpans, ztoc.spanCount),
    maxZtocBytes: Math.max(DEFAULT_ZTOC_LIMITS.maxZtocBytes, 2 * ztoc.bytes.length),
  };
}

/** The indexer knows only at which byte of the layer no block starts. */
function missedCheckpoint(name: string | undefined, ztoc: Ztoc, error: unknown): SociError | undefined {
  if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_ZTOC_MISMATCH') return undefined;
  const { field, offset } = error.data;
  if (field !== undefined) return undefined;
  for (let i = 0; i < ztoc.spanCount; i += 1) {
    const input = checkpointInput(ztoc, i);
    if (input === offset) return mismatch(name, 'checkpoint', i, `at byte ${input}`, 'no block start there');
  }
  return undefined;
}

function compare(
  name: string | undefined,
  field: string,
  index: number | undefined,
  expected: number | string,
  found: number | string,
): void {
  if (expected !== found) throw mismatch(name, field, index, expected, found);
}

function mismatch(
  name: string | undefined,
  field: string,
  index: number | undefined,
  expected: number | string,
  found: number | string,
  entry?: TocEntry,
): SociError {
  const layer = name === undefined ? '' : `${name}: `;
  const which =
    entry !== undefined
      ? ` of entry ${index} (${quoteByteString(entry.fields.name)})`
      : index === undefined
        ? ''
        : ` ${index}`;
  return new SociError(
    'ERR_SOCI_ZTOC_MISMATCH',
    `${layer}the ztoc does not describe the layer: ${field}${which} is ${expected} in the ztoc, ${found} in the layer`,
    {
      data: {
        field,
        expected,
        found,
        ...(index === undefined ? {} : { index }),
        ...(entry === undefined ? {} : { entry: entry.name }),
      },
    },
  );
}
