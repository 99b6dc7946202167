/**
 * A file that appears whole or not at all: written under a temporary name in
 * the same folder, then renamed. Opened before the work starts, so that a folder
 * that cannot be written to is reported at once. Devices and pipes, which a
 * rename would replace, are written in place; `-` is standard output.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeOut } from './standard-output.js';

export class OutputFile {
  readonly #handle: FileHandle | undefined;
  readonly #temporary: string | undefined;
  /** What the user calls it. */
  readonly #name: string;
  readonly #target: string;
  #settled = false;

  private constructor(name: string, target: string, handle?: FileHandle, temporary?: string) {
    this.#name = name;
    this.#target = target;
    this.#handle = handle;
    this.#temporary = temporary;
  }

  static async open(path: string): Promise<OutputFile> {
    if (path === '-') return new OutputFile(path, path);
    return await named(path, () => OutputFile.#openFile(path));
  }

  static async #openFile(path: string): Promise<OutputFile> {
    const existing = await stat(path).catch(() => undefined);
    if (existing !== undefined && !existing.isFile()) {
      return new OutputFile(path, path, await open(path, 'w'));
    }
    // Through a symbolic link the file behind it is replaced, not the link.
    const target = existing === undefined ? path : await realpath(path);
    const unique = `${process.pid}-${randomBytes(4).toString('hex')}`;
    const temporary = join(dirname(target), `.${basename(target)}.${unique}.tmp`);
    return new OutputFile(path, target, await open(temporary, 'wx'), temporary);
  }

  async write(bytes: Uint8Array): Promise<void> {
    const handle = this.#handle;
    if (handle === undefined) await writeOut(bytes);
    else await named(this.#name, () => handle.writeFile(bytes));
  }

  /** The bytes are on the disk before the name points to them. */
  async commit(): Promise<void> {
    await named(this.#name, async () => {
      if (this.#temporary !== undefined) await this.#handle?.datasync();
      await this.#handle?.close();
      if (this.#temporary !== undefined) await rename(this.#temporary, this.#target);
    });
    this.#settled = true;
  }

  /** Removes what was written, unless it was committed. */
  async dispose(): Promise<void> {
    if (this.#settled) return;
    this.#settled = true;
    await this.#handle?.close().catch(() => undefined);
    if (this.#temporary !== undefined) await rm(this.#temporary, { force: true });
  }
}

/** The system's errors name the temporary file, if any at all: what the user gave is what they know. */
async function named<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const [, reason = message] = /^[A-Z0-9]+: ([^,]+)/.exec(message) ?? [];
    throw Object.assign(new Error(`${name}: cannot be written: ${reason}`, { cause }), { code });
  }
}
