/**
 * Layers that have no ztoc and can have none (zstd; tars with entries that a
 * ztoc cannot describe) are unpacked once, to a plain tar that is bounded in
 * size and has the diffID that the image's config states. In a cache folder it
 * serves the next process too; without one it vanishes with the image.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SociError } from '../errors.js';
import { writeFileAtomically } from '../files/atomic-file.js';
import { markUsed } from '../files/cache-folder.js';
import type { TemporarySpace } from '../files/temporary-file.js';
import type { LayerContent } from '../layer/layer-entries.js';
import type { NoZtoc } from '../soci/ztoc-provider.js';
import { FileSource } from '../source/file-source.js';
import type { RangeSource } from '../source/range-source.js';
import { ScratchFile } from '../source/scratch-file.js';
import { BLOCK_SIZE } from '../tar/header-block.js';
import type { ZtocLimits } from '../ztoc/limits.js';
import { sniffCodec } from '../ztoc/sniff-compression.js';
import { PlainTarPass, type PlainTarTable } from './plain-tar.js';
import type { UnpackBudget } from './unpack-budget.js';
import { decodeZstd } from './zstd-decoder.js';
import { isZstd } from './zstd-frames.js';

export interface UnpackOptions {
  /** Digest of the plain tar, of an algorithm that node:crypto has. */
  readonly diffId: string;
  /** Where plain tars are kept; undefined: in a temporary file. */
  readonly folder: string | undefined;
  /** Where temporary files are. */
  readonly temporary: TemporarySpace;
  readonly budget: UnpackBudget;
  readonly limits: Partial<ZtocLimits> | undefined;
  /** Bytes of the layer that are a whole gzip stream, when others follow that are none. */
  readonly end: number | undefined;
  readonly signal: AbortSignal;
  /** Called where bytes begin that are no frame of the zstd stream before them, and are not read. */
  readonly onTrailing: (offset: number) => void;
  /** Called with the bytes of the layer that have been read so far. */
  readonly onProgress: (bytes: number) => void;
}

/** Whether a layer without a ztoc is a good one all the same, which can be read here, as opposed to a broken one. */
export function isUnpackable({ error }: NoZtoc): boolean {
  if (error.code === 'ERR_SOCI_TAR_UNSUPPORTED') return true;
  // gzip, GNU tar and containerd with unpigz take the members and leave what is behind them.
  if (error.code === 'ERR_SOCI_LAYER_TRAILING_DATA') return true;
  // A zstd stream may begin with frames to skip, which look like nothing that is known.
  const found = error.code === 'ERR_SOCI_UNSUPPORTED_COMPRESSION' ? error.data['found'] : undefined;
  return found === 'zstd' || found === 'unknown';
}

/** What an earlier process has unpacked, when it is there and still what the diffID names. */
export async function openUnpacked(options: UnpackOptions): Promise<LayerContent | undefined> {
  if (options.folder === undefined) return undefined;
  const path = tarPath(options.folder, options.diffId);
  const { signal } = options;
  const pass = new PlainTarPass(path, options.budget, options.limits, algorithmOf(options.diffId));
  let source: RangeSource | undefined;
  try {
    source = await FileSource.openTouchable(path, { signal });
    for await (const chunk of source.stream({ signal })) pass.push(chunk);
    const table = pass.finish(options.diffId);
    await markUsed(path);
    return contentOf(source, table);
  } catch (error) {
    pass.discard();
    await source?.close();
    signal.throwIfAborted();
    // Not there, or damaged: it is made again, which tells what is wrong if that is the layer's own fault.
    if (error instanceof SociError) await rm(path, { force: true });
    return undefined;
  }
}

/**
 * @param layer its `stream()` verifies the layer's digest
 * @throws SociError ERR_SOCI_LIMIT, ERR_SOCI_DIGEST_MISMATCH; ERR_SOCI_ZSTD_DATA, ERR_SOCI_DEFLATE_DATA,
 *   ERR_SOCI_LAYER_TRUNCATED, ERR_SOCI_TAR_HEADER for a broken layer; ERR_SOCI_TAR_UNSUPPORTED for one that
 *   containerd does not unpack either
 */
export async function unpackLayer(layer: RangeSource, options: UnpackOptions): Promise<LayerContent> {
  const { folder, diffId, signal } = options;
  const pass = new PlainTarPass(layer.name, options.budget, options.limits, algorithmOf(diffId));
  let table: PlainTarTable | undefined;
  const unpacked = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of decompressed(counted(layer, options), layer.name, options)) {
      signal.throwIfAborted();
      pass.push(chunk);
      yield chunk;
    }
    table = pass.finish(diffId);
  };
  let source: RangeSource;
  try {
    if (folder === undefined) {
      source = await ScratchFile.write(options.temporary, layer.name, unpacked());
    } else {
      const path = tarPath(folder, diffId);
      await writeFileAtomically(path, unpacked(), { code: 'ERR_SOCI_OUTPUT', signal });
      source = await FileSource.openTouchable(path, { signal });
    }
  } catch (error) {
    pass.discard();
    signal.throwIfAborted();
    throw named(error, layer.name);
  }
  return contentOf(source, table as PlainTarTable);
}

/** What reading headers fails with does not know whose they are. */
function named(error: unknown, layer: string): unknown {
  if (!(error instanceof SociError) || error.message.includes(layer)) return error;
  const data = { ...error.data, layer };
  return new SociError(error.code, `${layer}: ${error.message}`, { data, cause: error });
}

function contentOf(source: RangeSource, table: PlainTarTable): LayerContent {
  return { ...table, source };
}

function tarPath(folder: string, diffId: string): string {
  return join(folder, `${diffId.slice(algorithmOf(diffId).length + 1)}.tar`);
}

function algorithmOf(diffId: string): string {
  return diffId.slice(0, diffId.indexOf(':'));
}

async function* counted(
  layer: RangeSource,
  { signal, onProgress }: UnpackOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const chunk of layer.stream({ signal })) {
    yield chunk;
    bytes += chunk.length;
    onProgress(bytes);
  }
}

/** By the first bytes: media types are often wrong. @throws SociError ERR_SOCI_UNSUPPORTED_COMPRESSION */
async function* decompressed(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
  name: string,
  { end, onTrailing }: UnpackOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    let head: Uint8Array = new Uint8Array(0);
    while (head.length < BLOCK_SIZE) {
      const next = await chunks.next();
      if (next.done === true) break;
      head = Buffer.concat([head, next.value]);
    }
    const all = prepended(head, chunks);
    if (isZstd(head)) yield* decodeZstd(all, name, { onTrailing });
    else yield* sniffCodec(head).decompress(end === undefined ? all : leading(all, end), name);
    // A decoder need not ask for what is behind its stream; the layer's digest covers that too.
    for await (const _rest of chunks);
  } finally {
    // Whoever dislikes the head never comes to the rest, and so does not end it.
    await chunks.return(undefined);
  }
}

/** Reads on to the end all the same: only there the layer's digest is known. */
async function* leading(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
  end: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = end;
  for await (const chunk of chunks) {
    if (left > 0) yield chunk.subarray(0, left);
    left -= Math.min(left, chunk.length);
  }
}

async function* prepended(
  head: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (head.length > 0) yield head;
  yield* rest;
}
