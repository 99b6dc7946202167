/**
 * A gzip layer as one stream, without checkpoints and by node:zlib: for layers
 * that are read once, whole, and not indexed.
 */
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { SociError } from '../../errors.js';

const CHUNK = 256 * 1024;

/** @throws SociError ERR_SOCI_LAYER_TRUNCATED, ERR_SOCI_DEFLATE_DATA; what the chunks throw */
export async function* gunzip(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const output = pipeline(
    Readable.from(chunks, { objectMode: false }),
    createGunzip({ chunkSize: CHUNK }),
    () => {}, // An error is thrown by the loop over the output.
  );
  try {
    for await (const chunk of output) yield chunk as Uint8Array;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!/^Z_/.test(code ?? '')) throw error;
    const truncated = code === 'Z_BUF_ERROR';
    throw new SociError(
      truncated ? 'ERR_SOCI_LAYER_TRUNCATED' : 'ERR_SOCI_DEFLATE_DATA',
      `${name}: cannot be decompressed: ${message}`,
      { cause: error },
    );
  }
}
