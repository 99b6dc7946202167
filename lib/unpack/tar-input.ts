/**
 * A layer as it comes, whatever it is compressed with, as what the indexer reads:
 * gzip and plain tars as they are, zstd decoded, and a layer with a ztoc decoded
 * by spans on all threads.
 */
import { invalidArgument, SociError } from '../errors.js';
import { decodeZstd } from '../plain/zstd-decoder.js';
import { isZstd } from '../plain/zstd-frames.js';
import { completeSource, type GivenSource } from '../source/given-source.js';
import type { ReadContext } from '../span/read-context.js';
import type { Compression } from '../ztoc/codec/codecs.js';
import { RAW } from '../ztoc/codec/raw.js';
import type { SpanCodec } from '../ztoc/codec/span-codec.js';
import { isRangeSource, type LayerInput, layerChunks } from '../ztoc/layer-input.js';
import { sniffCodec } from '../ztoc/sniff-compression.js';
import type { Ztoc } from '../ztoc/ztoc.js';
import type { LayerProof } from './layer-proof.js';
import { isOutput, type OperationExecutor } from './operation-executor.js';
import { spanTar } from './span-tar.js';

/** What is indexed. */
export interface TarInput {
  readonly codec: SpanCodec<Compression>;
  /** Whether these are the layer's own bytes, of which a ztoc can be made and a digest is computed. */
  readonly stored: boolean;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface TarInputOptions {
  readonly name: string;
  readonly ztoc: Ztoc | undefined;
  /** Told of the layer's own bytes, where it needs them. */
  readonly proof: LayerProof;
  readonly context: ReadContext;
  readonly executor: OperationExecutor;
}

/**
 * @param signal ends the input
 * @throws SociError ERR_SOCI_UNSUPPORTED_COMPRESSION; ERR_SOCI_ZTOC_MISMATCH for a ztoc of another layer
 */
export async function openTarInput(
  input: LayerInput,
  options: TarInputOptions,
  signal: AbortSignal,
): Promise<TarInput> {
  const opened = await openTar(input, options, signal);
  const { executor } = options;
  return isOutput(executor) ? opened : { ...opened, chunks: added(opened.chunks, executor) };
}

async function openTar(
  input: LayerInput,
  { name, ztoc, proof, context, executor }: TarInputOptions,
  signal: AbortSignal,
): Promise<TarInput> {
  if (ztoc !== undefined) {
    const source = completeSource(fittingSource(input, ztoc));
    return { codec: RAW, stored: false, chunks: spanTar(source, ztoc, context, signal) };
  }
  const chunks = layerChunks(input, signal);
  const first = await chunks.next();
  const head = first.done === true ? new Uint8Array(0) : first.value;
  if (isZstd(head)) {
    const decoded = decodeZstd(copied(restored(head, chunks, proof)), name);
    return { codec: RAW, stored: false, chunks: decoded };
  }
  try {
    const codec = sniffCodec(head);
    if (!isOutput(executor)) {
      const tar = codec.decompress(copied(restored(head, chunks, proof)), name);
      return { codec: RAW, stored: false, chunks: tar };
    }
    const all = restored(head, chunks, proof.wantsStored ? proof : undefined);
    return { codec, stored: true, chunks: all };
  } catch (error) {
    await chunks.return(undefined);
    throw error;
  }
}

/** A ztoc says where to read, so it needs what can be read anywhere. */
function fittingSource(input: LayerInput, ztoc: Ztoc): GivenSource {
  if (!isRangeSource(input)) throw invalidArgument('a layer with a ztoc', 'a RangeSource', input);
  if (input.size === ztoc.compressedSize) return input;
  throw new SociError(
    'ERR_SOCI_ZTOC_MISMATCH',
    `the ztoc is for a layer of ${ztoc.compressedSize} bytes, but ${input.name} has ${input.size}`,
    { data: { expected: ztoc.compressedSize, found: input.size } },
  );
}

/** The chunks with the first of them, which was looked at. */
async function* restored(
  head: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void, undefined>,
  proof: LayerProof | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if (head.length > 0) {
      proof?.addStored(head);
      yield head;
    }
    for await (const chunk of rest) {
      proof?.addStored(chunk);
      yield chunk;
    }
  } finally {
    // Whoever leaves at the first never comes to the rest, and so does not end it.
    await rest.return(undefined);
  }
}

/** Decoders of node:zlib read ahead, and the memory of a chunk is used again. */
async function* copied(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) yield new Uint8Array(chunk);
}

/** For an executor that no indexer gives the tar to. */
async function* added(
  tar: AsyncIterable<Uint8Array>,
  executor: OperationExecutor,
): AsyncGenerator<Uint8Array, void, undefined> {
  let offset = 0;
  for await (const chunk of tar) {
    executor.add(offset, chunk);
    offset += chunk.length;
    yield chunk;
  }
}
