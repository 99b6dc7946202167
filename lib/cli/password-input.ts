/** The password of `--password-stdin`: all of standard input, without the line end that `echo` and files add. */
import { type Invocation, UsageError } from './command.js';

const MAX_BYTES = 64 * 1024;

/** @throws UsageError when there is none, or far too much to be one */
export async function readPassword({ signal, ...surroundings }: Invocation): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  const input = surroundings.input();
  const abort = (): void => void input.destroy(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    for await (const chunk of input) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > MAX_BYTES) throw new UsageError(`--password-stdin: more than ${MAX_BYTES} bytes`);
    }
  } finally {
    signal.removeEventListener('abort', abort);
  }
  const password = Buffer.concat(chunks)
    .toString()
    .replace(/\r?\n$/, '');
  if (password === '') throw new UsageError('--password-stdin: standard input is empty');
  return password;
}
