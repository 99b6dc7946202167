/**
 * Files that are there whole or not at all: written under another name in the
 * same folder, synced, and renamed into their place. Readers never see half a
 * blob, nor does a crash leave one. The system's errors name the file under its
 * temporary name, if any: here they name the one that was asked for, under the
 * code of whoever asked.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SociError, type SociErrorCode } from '../errors.js';
import { makeFolders } from './folders.js';

export interface AtomicFileOptions {
  /** What a file that cannot be written means to the caller. Default: the system's own code. */
  readonly code?: SociErrorCode | undefined;
  /** What messages call the file. Default: its path. */
  readonly name?: string | undefined;
  /** Have the bytes on the disk before the name points to them. Default true. */
  readonly sync?: boolean | undefined;
}

/** A file that takes its place when it is committed. */
export class AtomicFile {
  readonly #path: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  readonly #options: AtomicFileOptions;
  #settled = false;

  private constructor(path: string, temporary: string, handle: FileHandle, options: AtomicFileOptions) {
    this.#path = path;
    this.#temporary = temporary;
    this.#handle = handle;
    this.#options = options;
  }

  /** @param path in a folder that is there: what cannot be written is found out before there is anything to write */
  static async create(path: string, options: AtomicFileOptions): Promise<AtomicFile> {
    const name = `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`;
    const temporary = join(dirname(path), name);
    const handle = await worded(path, options, () => open(temporary, 'wx', 0o644));
    return new AtomicFile(path, temporary, handle, options);
  }

  async write(chunk: Uint8Array): Promise<void> {
    await worded(this.#path, this.#options, () => this.#handle.writeFile(chunk));
  }

  async commit(): Promise<void> {
    await worded(this.#path, this.#options, async () => {
      if (this.#options.sync !== false) await this.#handle.datasync();
      await this.#handle.close();
      await rename(this.#temporary, this.#path);
    });
    this.#settled = true;
  }

  /** Removes what was written, unless it was committed. */
  async discard(): Promise<void> {
    if (this.#settled) return;
    this.#settled = true;
    await this.#handle.close().catch(() => {});
    await rm(this.#temporary, { force: true }).catch(() => {});
  }
}

/**
 * Writes `chunks` to `path`, whose folder is made if need be. When a chunk fails, nothing has changed.
 *
 * @throws SociError `options.code`; what the chunks throw; the signal's reason
 */
export async function writeFileAtomically(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: AtomicFileOptions & { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { signal } = options;
  await worded(path, options, () => makeFolders(dirname(path)));
  const file = await AtomicFile.create(path, options);
  try {
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      await file.write(chunk);
    }
    signal?.throwIfAborted();
    await file.commit();
  } catch (error) {
    await file.discard();
    signal?.throwIfAborted();
    throw error;
  }
}

/** Whatever `write` makes of the name that it is given takes the place of what is at `path`; a directory there stays. */
export async function replaceAtomically(
  path: Buffer,
  write: (temporary: Buffer) => Promise<void>,
): Promise<void> {
  const folder = dirname(path.toString('latin1'));
  const temporary = Buffer.from(`${folder}/.seekable-oci-${randomBytes(8).toString('hex')}`, 'latin1');
  try {
    await write(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** What the system says about writing to `path`, in the caller's terms. */
export async function worded<T>(
  path: string,
  { code, name = path }: AtomicFileOptions,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code: reason, message } = cause as NodeJS.ErrnoException;
    // An error without a code is none of the system's.
    if (reason === undefined || cause instanceof SociError) throw cause;
    const [, text = message] = /^[A-Z0-9]+: ([^,]+)/.exec(message) ?? [];
    const words = `${name}: cannot be written: ${text}`;
    if (code === undefined) throw Object.assign(new Error(words, { cause }), { code: reason });
    throw new SociError(code, words, { data: { path, reason }, cause });
  }
}
