/**
 * One line on standard error that shows how far a pass over a layer is, drawn
 * only on a terminal and at most ten times a second.
 */
import { byteText } from './byte-text.js';
import type { Invocation } from './command.js';
import type { ErrorStream } from './surroundings.js';

const REDRAW_MS = 100;
const BAR_WIDTH = 24;

export class ProgressBar {
  readonly #label: string;
  readonly #total: number | undefined;
  readonly #stream: ErrorStream | undefined;
  readonly #started = performance.now();
  #drawn = 0;

  /** `total` in bytes; undefined when the input is a pipe. Without a stream nothing is drawn. */
  constructor(label: string, total: number | undefined, stream: ErrorStream | undefined) {
    this.#label = label;
    this.#total = total;
    this.#stream = stream;
  }

  update(done: number): void {
    if (!this.#stream?.isTTY) return;
    const now = performance.now();
    if (now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    const text = barText(this.#label, done, this.#total, now - this.#started);
    // A terminal that was never told its size has 0 columns.
    const columns = this.#stream.columns || 80;
    this.#stream.write(`\r\x1b[2K${text.slice(0, columns - 1)}`);
  }

  /** Clears the line. */
  end(): void {
    if (this.#drawn > 0) this.#stream?.write('\r\x1b[2K');
  }
}

/** The bar of a command, which `--quiet` takes away. */
export function progressBar(label: string, total: number | undefined, invocation: Invocation): ProgressBar {
  const { options, errors } = invocation;
  return new ProgressBar(label, total, options['quiet'] === true ? undefined : errors);
}

/** How far something is, in one line. `done` and `total` in bytes, `elapsed` in milliseconds. */
export function barText(label: string, done: number, total: number | undefined, elapsed: number): string {
  const rate = `${byteText((done / Math.max(1, elapsed)) * 1000)}/s`;
  if (total === undefined) return `${label} ${byteText(done)}  ${rate}`;
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  return `${label} ${bar}${percent}  ${byteText(done)} of ${byteText(total)}  ${rate}`;
}
