/**
 * Writing to standard output with back-pressure: a slow reader must not make
 * the process buffer a whole file, and a reader that went away must end it.
 */

/** Standard output was closed by its reader (EPIPE). */
export class OutputClosed extends Error {}

export async function writeOut(chunk: string | Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(chunk, error => {
      if (!error) resolve();
      else reject((error as NodeJS.ErrnoException).code === 'EPIPE' ? new OutputClosed() : error);
    });
  });
}

export async function writeJson(value: unknown): Promise<void> {
  await writeOut(`${JSON.stringify(value, undefined, 2)}\n`);
}
