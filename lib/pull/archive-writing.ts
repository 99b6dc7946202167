/**
 * A tar that is written while what belongs into it still arrives, each file when
 * it is its turn: under another name, and renamed in the end. Equal files give
 * equal bytes.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { worded } from '../files/atomic-file.js';
import { syncPath } from '../files/folders.js';
import type { RangeSource } from '../source/range-source.js';
import { archiveStream, type StreamedFile } from '../tar/archive-stream.js';

/** A file of the archive. */
export interface ArchivePart {
  readonly name: string;
  readonly size: number;
  /** Settles when its bytes are there. Undefined: the archive does without it. */
  open(signal: AbortSignal): Promise<RangeSource | undefined>;
}

export interface ArchiveWritingOptions {
  /** A folder on the file system of the archive. */
  readonly temporary: string;
  readonly sync: boolean;
  readonly signal: AbortSignal;
}

const CODE = { code: 'ERR_SOCI_OUTPUT' } as const;
const MODE = 0o644;

export class ArchiveWriting {
  readonly #path: string;
  readonly #temporary: string;
  readonly #sync: boolean;
  readonly #ending = new AbortController();
  readonly #written: Promise<void>;

  /** @param path of the archive */
  constructor(
    path: string,
    parts: readonly ArchivePart[],
    { temporary, sync, signal }: ArchiveWritingOptions,
  ) {
    this.#path = path;
    this.#temporary = join(temporary, `archive-${randomBytes(6).toString('hex')}.tmp`);
    this.#sync = sync;
    this.#written = this.#write(parts, AbortSignal.any([signal, this.#ending.signal]));
    // Whoever commits learns of it.
    this.#written.catch(() => {});
  }

  /** @throws SociError ERR_SOCI_OUTPUT; what opening and reading the parts failed with; the signal's reason */
  async commit(): Promise<void> {
    await this.#written;
    await worded(this.#path, CODE, async () => {
      await rename(this.#temporary, this.#path);
      if (this.#sync) await syncPath(dirname(this.#path));
    });
  }

  /** Rejects as soon as it is certain that there will be no archive. */
  async failed(): Promise<never> {
    await this.#written;
    return await new Promise<never>(() => {});
  }

  /** Ends it, and removes what is not committed. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#written.catch(() => {});
    await rm(this.#temporary, { force: true }).catch(() => {});
  }

  async #write(parts: readonly ArchivePart[], signal: AbortSignal): Promise<void> {
    const file = await worded(this.#path, CODE, () => open(this.#temporary, 'wx', MODE));
    try {
      for await (const chunk of archiveStream(streamed(parts, signal))) {
        signal.throwIfAborted();
        await worded(this.#path, CODE, () => written(file, chunk));
      }
      if (this.#sync) await worded(this.#path, CODE, () => file.datasync());
    } finally {
      await file.close();
    }
  }
}

async function* streamed(parts: readonly ArchivePart[], signal: AbortSignal): AsyncGenerator<StreamedFile> {
  for (const part of parts) {
    const source = await part.open(signal);
    if (source === undefined) continue;
    try {
      yield { name: part.name, size: part.size, content: () => source.stream({ signal }) };
    } finally {
      await source.close();
    }
  }
}

async function written(file: FileHandle, chunk: Uint8Array): Promise<void> {
  if (chunk.length > 0) await file.writeFile(chunk);
}
