/**
 * One run of a decompressor: a process group of its own, fed and read with
 * back-pressure, watched while it is the one that everybody waits for, and gone when the
 * run is over. The first thing that goes wrong is what the run fails with; everything
 * after it is only the ending.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { addAbortListener, removeAbortListener } from '../async/abort-listeners.js';
import { Pace } from '../async/pace.js';
import { SociError } from '../errors.js';
import type { Decompressor } from './decompressor-check.js';

/**
 * All that the program learns of its surroundings: wrappers find the usual programs, messages are in English.
 * Nothing is inherited, since what we hold there (credentials, NODE_OPTIONS) is not for it.
 */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C',
  LC_ALL: 'C',
};
const MAX_STDERR = 4096;
/** After the program has ended, for what it left in its pipes; who holds them open longer is a process that it left. */
const LEFT_BEHIND_MS = 2000;

interface Exit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class DecompressorRun {
  readonly #tool: Decompressor;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  readonly #stallMs: number;
  readonly #closed: Promise<void>;
  #timer: NodeJS.Timeout;
  #stderr: Buffer = Buffer.alloc(0);
  #exit: Exit | undefined;
  #failure: { readonly reason: unknown } | undefined;
  /** Settles with the first failure, for those who wait for somebody else. */
  readonly #failed: Promise<void>;
  #tellFailed: () => void = () => {};
  #feeding: Promise<void> = Promise.resolve();
  /** Ends the wait for what is being written. */
  #written: () => void = () => {};
  /** Who is waited for: the source, by us; us, by the program or the program, by the reader. */
  #asking = false;
  #writing = false;
  #inputEnded = false;
  #outputEnded = false;
  #reading = false;
  #killed = false;
  #gone = false;
  #over = false;

  /** @throws SociError ERR_SOCI_DECOMPRESSOR where the program cannot be run at all */
  constructor(tool: Decompressor, stallMs: number, signal: AbortSignal | undefined) {
    this.#tool = tool;
    this.#stallMs = stallMs;
    this.#signal = signal;
    try {
      this.#child = spawn(tool.path, [...tool.args], {
        cwd: '/',
        env: ENVIRONMENT,
        stdio: ['pipe', 'pipe', 'pipe'],
        // A group of its own, which can be killed with all that the program has started.
        detached: true,
        windowsHide: true,
      });
    } catch (cause) {
      throw this.#error('cannot be run', cause);
    }
    const child = this.#child;
    child.once('error', cause => this.#fail(this.#error('cannot be run', cause)));
    // Without descriptors to spare, Node makes no pipes either.
    if (child.stdin === undefined) {
      this.#over = true;
      throw this.#error('cannot be run: too many open files');
    }
    this.#timer = setTimeout(this.#onStall, stallMs);
    this.#failed = new Promise(resolve => {
      this.#tellFailed = resolve;
    });
    this.#closed = new Promise(resolve => {
      child.once('close', () => {
        this.#gone = true;
        resolve();
      });
    });
    child.once('exit', this.#onExit);
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = Buffer.concat([this.#stderr, chunk]).subarray(-MAX_STDERR);
    });
    // That the program does not read on, or cannot be read, is told by how it ends.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => {});
    child.stdin.once('close', () => this.#written());
    child.stdout.once('end', () => {
      this.#outputEnded = true;
      this.#timer.refresh();
    });
    this.#chunks = child.stdout[Symbol.asyncIterator]();
    addAbortListener(signal, this.#onAbort);
  }

  /** Begins to write `source`, all of which is read even if the program does not want it. */
  feed(source: AsyncIterable<Uint8Array>): void {
    this.#feeding = this.#feed(source).catch((reason: unknown) => this.#fail(reason));
  }

  /** Undefined at the end, when the program has ended well and the source was read. @throws what the run fails with */
  async next(): Promise<Uint8Array | undefined> {
    this.#reading = true;
    this.#timer.refresh();
    try {
      const step = await this.#chunks.next();
      if (step.done !== true) return step.value;
      await this.#closed;
      if (this.#exit?.status !== 0) this.#fail(this.#error(this.#ending()));
      await Promise.race([this.#feeding, this.#failed]);
      this.#throwFailure();
      return undefined;
    } catch (error) {
      // The stream's own words are about a stream that was destroyed.
      this.#throwFailure();
      throw this.#error('failed', error);
    } finally {
      this.#reading = false;
    }
  }

  /** Kills what still runs, and settles when it is gone. */
  async end(): Promise<void> {
    this.#over = true;
    removeAbortListener(this.#signal, this.#onAbort);
    this.#kill();
    this.#destroy();
    await this.#closed;
    clearTimeout(this.#timer);
    // A source that we wait for ends by itself, and is told then that nobody wants more.
    if (!this.#asking) await this.#feeding;
  }

  readonly #onAbort = (): void => this.#fail(this.#signal?.reason);

  readonly #onExit = (status: number | null, signal: NodeJS.Signals | null): void => {
    this.#exit = { status, signal };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onStall, Math.min(this.#stallMs, LEFT_BEHIND_MS));
  };

  /** Every progress sets the timer back, so that now nothing has changed for all of its time. */
  readonly #onStall = (): void => {
    if (!this.#reading || this.#gone) return;
    if (this.#exit !== undefined) {
      this.#fail(this.#error(`${this.#ending()}, but left a process behind that holds its output open`));
    } else if (this.#writing || this.#inputEnded || this.#outputEnded) {
      this.#fail(this.#error(`made no progress in ${this.#stallMs} ms`));
    }
  };

  async #feed(source: AsyncIterable<Uint8Array>): Promise<void> {
    const chunks = source[Symbol.asyncIterator]();
    // What nobody takes any more goes by without a wait, and would let nothing else happen meanwhile.
    const pace = new Pace();
    let ended = false;
    try {
      while (!this.#over) {
        this.#asking = true;
        const step = await chunks.next().finally(() => {
          this.#asking = false;
        });
        ended = step.done === true;
        if (step.done === true) break;
        if (!this.#over) await this.#write(step.value);
        await pace.step();
      }
    } catch (error) {
      ended = true;
      throw error;
    } finally {
      if (!ended) await chunks.return?.();
    }
    this.#inputEnded = true;
    this.#timer.refresh();
    this.#child.stdin.end();
  }

  /** Settles when the program has taken the chunk, or does not read any more. */
  async #write(chunk: Uint8Array): Promise<void> {
    const { stdin } = this.#child;
    if (stdin.destroyed || chunk.length === 0) return;
    this.#writing = true;
    this.#timer.refresh();
    await new Promise<void>(resolve => {
      this.#written = resolve;
      stdin.write(chunk, () => resolve());
    });
    this.#writing = false;
    this.#timer.refresh();
  }

  #fail(reason: unknown): void {
    if (this.#over || this.#failure !== undefined) return;
    this.#failure = { reason };
    this.#over = true;
    this.#tellFailed();
    this.#kill();
    this.#destroy();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  #ending(): string {
    const { status = null, signal = null } = this.#exit ?? {};
    return signal === null ? `ended with status ${status}` : `was ended by ${signal}`;
  }

  #kill(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#killed) return;
    // Once it has been waited for, its number may be another's, unless a read shows that its group still holds a pipe.
    if (this.#exit !== undefined && (this.#gone || !this.#reading)) return;
    this.#killed = true;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // The group is gone.
    }
  }

  #destroy(): void {
    for (const stream of [this.#child.stdin, this.#child.stdout, this.#child.stderr]) stream.destroy();
  }

  #error(what: string, cause?: unknown): SociError {
    const { key, path } = this.#tool;
    const said = this.#stderr.toString('utf8').trim();
    const words = said === '' ? '' : `: ${said}`;
    return new SociError('ERR_SOCI_DECOMPRESSOR', `${key}: ${path} ${what}${words}`, {
      data: { key, path, status: this.#exit?.status, signal: this.#exit?.signal, stderr: said },
      cause,
    });
  }
}
