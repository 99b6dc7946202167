/**
 * Where a command writes its result: a file that appears whole or not at all,
 * opened before the work starts, so that a folder that cannot be written to is
 * reported at once. Devices and pipes, which a rename would replace, are written
 * in place; `-` is standard output.
 */
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { AtomicFile, worded } from '../files/atomic-file.js';
import { writeOut } from './standard-output.js';

export class OutputFile {
  readonly #path: string;
  readonly #file: AtomicFile | FileHandle | undefined;

  private constructor(path: string, file: AtomicFile | FileHandle | undefined) {
    this.#path = path;
    this.#file = file;
  }

  static async open(path: string): Promise<OutputFile> {
    if (path === '-') return new OutputFile(path, undefined);
    return await inUsersWords(path, async () => {
      const existing = await stat(path).catch(() => undefined);
      if (existing !== undefined && !existing.isFile()) return new OutputFile(path, await open(path, 'w'));
      // Through a symbolic link the file behind it is replaced, not the link.
      const target = existing === undefined ? path : await realpath(path);
      return new OutputFile(path, await AtomicFile.create(target, { name: path }));
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    const file = this.#file;
    if (file === undefined) await writeOut(bytes);
    else if (file instanceof AtomicFile) await file.write(bytes);
    else await inUsersWords(this.#path, () => file.writeFile(bytes));
  }

  async commit(): Promise<void> {
    const file = this.#file;
    if (file instanceof AtomicFile) await file.commit();
    else if (file !== undefined) await inUsersWords(this.#path, () => file.close());
  }

  /** Removes what was written, unless it was committed. */
  async dispose(): Promise<void> {
    if (this.#file instanceof AtomicFile) await this.#file.discard();
    else await this.#file?.close().catch(() => undefined);
  }
}

function inUsersWords<T>(path: string, work: () => Promise<T>): Promise<T> {
  return worded(path, {}, work);
}
