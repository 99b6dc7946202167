/**
 * Where a command writes its result: a file that appears whole or not at all,
 * opened before the work starts, so that a folder that cannot be written to is
 * reported at once. Devices and pipes, which a rename would replace, are written
 * in place; `-` is standard output.
 */
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { AtomicFile, worded } from '../files/atomic-file.js';
import type { StandardOutput } from './standard-output.js';

export class OutputFile {
  readonly #path: string;
  readonly #file: AtomicFile | FileHandle | StandardOutput;

  private constructor(path: string, file: AtomicFile | FileHandle | StandardOutput) {
    this.#path = path;
    this.#file = file;
  }

  /** @param output What `-` stands for. */
  static async open(path: string, output: StandardOutput): Promise<OutputFile> {
    if (path === '-') return new OutputFile(path, output);
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
    if ('writeFile' in file) await inUsersWords(this.#path, () => file.writeFile(bytes));
    else await file.write(bytes);
  }

  async commit(): Promise<void> {
    const file = this.#file;
    if (file instanceof AtomicFile) await file.commit();
    else if ('close' in file) await inUsersWords(this.#path, () => file.close());
  }

  /** Removes what was written, unless it was committed. */
  async dispose(): Promise<void> {
    const file = this.#file;
    if (file instanceof AtomicFile) await file.discard();
    else if ('close' in file) await file.close().catch(() => undefined);
  }
}

function inUsersWords<T>(path: string, work: () => Promise<T>): Promise<T> {
  return worded(path, {}, work);
}
