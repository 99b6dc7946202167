/**
 * Writing to standard output with back-pressure: a slow reader must not make
 * the process buffer a whole file, and a reader that went away must end it.
 */
import type { Writable } from 'node:stream';

/** Standard output was closed by its reader (EPIPE). */
export class OutputClosed extends Error {}

export class StandardOutput {
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  async write(chunk: string | Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(chunk, error => {
        if (!error) resolve();
        else reject((error as NodeJS.ErrnoException).code === 'EPIPE' ? new OutputClosed() : error);
      });
    });
  }

  async writeJson(value: unknown): Promise<void> {
    await this.write(`${JSON.stringify(value, undefined, 2)}\n`);
  }
}
