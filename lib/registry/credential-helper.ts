/**
 * Docker's credential helpers: a program `docker-credential-NAME` that gets the
 * server on stdin and answers in JSON. Its name comes from a configuration file
 * and its output from a program, so both are checked and bounded.
 */
import { spawn } from 'node:child_process';

import { addAbortListener, removeAbortListener } from '../async/abort-listeners.js';
import { SociError } from '../errors.js';
import type { Credentials } from './credentials.js';

const HELPER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const MAX_OUTPUT = 1024 * 1024;
const NOT_FOUND = /credentials not found|no credentials server URL|no credentials username/i;
/** The user name by which a helper says that its secret is an identity token. */
const TOKEN_USER = '<token>';

export interface HelperOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds before the helper is killed. Default 30 s: some open a browser or ask a cloud. */
  readonly timeout?: number;
}

function helperError(program: string, detail: string, cause?: unknown): SociError {
  return new SociError('ERR_SOCI_CREDENTIALS', `Credential helper ${program} ${detail}`, {
    data: { program },
    cause,
  });
}

/** What helpers print may hold a secret even when they fail: only its size and exit code are ever reported. */
function parseAnswer(program: string, code: number | null, stdout: string): Credentials | undefined {
  if (code !== 0) {
    if (NOT_FOUND.test(stdout)) {
      return undefined;
    }
    throw helperError(program, code === null ? 'was killed' : `failed with exit code ${code}`);
  }
  let answer: { Username?: unknown; Secret?: unknown } | null;
  try {
    answer = JSON.parse(stdout) as typeof answer;
  } catch {
    throw helperError(program, `answered ${stdout.length} characters that are not JSON`);
  }
  const { Username: username, Secret: secret } = answer ?? {};
  if (typeof username !== 'string' || typeof secret !== 'string') {
    throw helperError(program, 'answered without Username and Secret');
  }
  if (username === '' && secret === '') {
    return undefined;
  }
  return username === TOKEN_USER ? { identityToken: secret } : { username, password: secret };
}

/**
 * Runs `docker-credential-<name> get` for `server`; undefined when the helper has nothing for it.
 *
 * @throws SociError ERR_SOCI_CREDENTIALS when the helper cannot be run, fails, hangs or answers nonsense.
 */
export async function askCredentialHelper(
  name: string,
  server: string,
  options: HelperOptions = {},
): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  if (!HELPER_NAME.test(name)) {
    throw new SociError(
      'ERR_SOCI_CREDENTIALS',
      `${JSON.stringify(name)} is not the name of a credential helper`,
    );
  }
  options.signal?.throwIfAborted();
  return await new Promise<Credentials | undefined>((resolve, reject) => {
    const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], windowsHide: true });
    const timeout = options.timeout ?? 30_000;
    const end = (error: unknown): void => {
      clearTimeout(timer);
      removeAbortListener(options.signal, onAbort);
      child.kill('SIGKILL');
      // A grandchild may keep the pipe open; it must not keep this process alive.
      child.stdout.destroy();
      reject(error);
    };
    const onAbort = (): void => end(options.signal?.reason);
    const timer = setTimeout(() => end(helperError(program, `did not answer within ${timeout} ms`)), timeout);
    addAbortListener(options.signal, onAbort);
    const chunks: Buffer[] = [];
    let length = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > MAX_OUTPUT) {
        end(helperError(program, `answered more than ${MAX_OUTPUT} bytes`));
      }
    });
    child.on('error', cause => end(helperError(program, 'could not be run', cause)));
    child.on('close', code => {
      clearTimeout(timer);
      removeAbortListener(options.signal, onAbort);
      try {
        resolve(parseAnswer(program, code, Buffer.concat(chunks).toString()));
      } catch (error) {
        reject(error);
      }
    });
    // A helper that exits without reading is no error of ours.
    child.stdin.on('error', () => {});
    child.stdin.end(server);
  });
}
