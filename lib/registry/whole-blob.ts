/**
 * A blob that is taken whole because nobody serves parts of it (a proxy cache
 * that is still cold answers 200 to every Range request): streamed once to a
 * temporary file, compared with its digest, and read from there.
 */
import { SharedOnce } from '../async/once.js';
import { SociError } from '../errors.js';
import type { TemporaryFile, TemporarySpace } from '../files/temporary-file.js';
import { ScratchFile } from '../source/scratch-file.js';
import { ContentVerifier } from './digest.js';

export interface KeepWholeOptions {
  readonly space: TemporarySpace;
  /** Bytes of the blob that have arrived. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface NamedBlob {
  readonly name: string;
  readonly digest: string;
  readonly size: number;
}

export class WholeBlob {
  readonly #blob: NamedBlob;
  readonly #options: KeepWholeOptions;
  readonly #file: SharedOnce<ScratchFile>;
  /** Being written, by `keeping`. */
  readonly #growing = new Set<TemporaryFile>();
  #kept: ScratchFile | undefined;
  #closed = false;

  /** @param stream All of the blob, from its start. */
  constructor(
    blob: NamedBlob,
    options: KeepWholeOptions,
    stream: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  ) {
    this.#blob = blob;
    this.#options = options;
    this.#file = new SharedOnce(
      signal => this.#download(stream(signal)),
      file => file.close(),
    );
  }

  /** Whether the blob is there, or on its way. */
  get begun(): boolean {
    return this.#kept !== undefined || this.#file.begun;
  }

  /** The blob, once it is there. */
  get present(): ScratchFile | undefined {
    return this.#kept ?? this.#file.value;
  }

  /** @throws SociError ERR_SOCI_DIGEST_MISMATCH; ERR_SOCI_LIMIT when there is no room for it; what the stream throws */
  async open(signal: AbortSignal | undefined): Promise<ScratchFile> {
    return this.#kept ?? (await this.#file.get(signal));
  }

  /**
   * All of the blob on its way to somebody else: what passes is kept, if there is plenty of room for it, so that reads
   * later need not fetch it again. Failing to keep it fails nothing.
   */
  async *keeping(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const { space } = this.#options;
    const { name, digest, size } = this.#blob;
    const verifier = new ContentVerifier(digest, size, name);
    let file =
      !this.begun && space.hasSpare(size) ? await space.create(size).catch(() => undefined) : undefined;
    const own = file;
    if (own !== undefined) this.#growing.add(own);
    let position = 0;
    try {
      for await (const chunk of chunks) {
        verifier.update(chunk);
        const written = await file?.write(chunk, position).then(
          () => true,
          () => false,
        );
        if (written === false) {
          await file?.close();
          file = undefined;
        }
        position += chunk.length;
        yield chunk;
      }
      verifier.finish();
      if (file !== undefined && !this.#closed && this.#kept === undefined) {
        this.#kept = new ScratchFile(name, file);
        file = undefined;
      }
    } finally {
      if (own !== undefined) this.#growing.delete(own);
      await file?.close();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#file.finished();
    await this.#file.value?.close();
    await this.#kept?.close();
    // Nobody need end an iteration that was begun, and then its file would stay.
    await Promise.all(Array.from(this.#growing, file => file.close()));
  }

  async #download(chunks: AsyncIterable<Uint8Array>): Promise<ScratchFile> {
    const { name, size } = this.#blob;
    const { space, onProgress } = this.#options;
    onProgress?.(0);
    try {
      return await ScratchFile.write(space, name, this.#verified(chunks));
    } catch (error) {
      if (!(error instanceof SociError && error.data['limit'] === 'tempBytes')) throw error;
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${name}: the server ignores Range requests, so all ${size} bytes have to be kept, but ${error.message}`,
        { data: error.data, cause: error },
      );
    }
  }

  async *#verified(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { name, digest, size } = this.#blob;
    const verifier = new ContentVerifier(digest, size, name);
    let received = 0;
    for await (const chunk of chunks) {
      verifier.update(chunk);
      received += chunk.length;
      yield chunk;
      this.#options.onProgress?.(received);
    }
    verifier.finish();
  }
}
