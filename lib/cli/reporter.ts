/**
 * What a command says on standard error while it works: on a terminal one bar
 * for each thing that takes long, drawn below the lines; elsewhere the lines alone.
 */
import { printable } from './printable.js';
import { barText } from './progress-bar.js';
import type { ErrorStream } from './surroundings.js';

const REDRAW_MS = 100;
/** More would push the lines off the screen. */
const MAX_BARS = 8;

interface Bar {
  readonly label: string;
  readonly total: number;
  readonly started: number;
  done: number;
}

export interface ReporterOptions {
  /** Where it is said. */
  readonly stream: ErrorStream;
  /** Say nothing at all. */
  readonly quiet?: boolean;
  /** Say what `debug` is given. */
  readonly debug?: boolean;
}

export class Reporter {
  readonly #stream: ErrorStream;
  readonly #quiet: boolean;
  readonly #debug: boolean;
  readonly #bars = new Map<string, Bar>();
  #drawnRows = 0;
  #drawnAt = 0;

  constructor(options: ReporterOptions) {
    this.#stream = options.stream;
    this.#quiet = options.quiet ?? false;
    this.#debug = options.debug ?? false;
  }

  /** A step that is done, or something that should be known. */
  line(text: string): void {
    if (this.#quiet) return;
    this.#write(`${printable(text)}\n`);
  }

  debug(text: string): void {
    // Each line by itself: a stack has several.
    if (this.#debug) for (const line of text.split('\n')) this.#write(`debug: ${printable(line)}\n`);
  }

  /** How far the work called `key` is, in bytes; the bar goes away with `endBar`. */
  progress(key: string, label: string, done: number, total: number): void {
    if (this.#quiet || !this.#stream.isTTY) return;
    const bar = this.#bars.get(key) ?? { label, total, started: performance.now(), done };
    bar.done = done;
    this.#bars.set(key, bar);
    if (performance.now() - this.#drawnAt >= REDRAW_MS) this.#write('');
  }

  endBar(key: string): void {
    if (this.#bars.delete(key)) this.#write('');
  }

  /** Clears all bars. */
  close(): void {
    this.#bars.clear();
    this.#write('');
  }

  #write(lines: string): void {
    const up = this.#drawnRows === 0 ? '' : `\x1b[${this.#drawnRows}A\r\x1b[J`;
    const now = performance.now();
    // A terminal that was never told its size has 0 columns.
    const width = (this.#stream.columns || 80) - 1;
    const rows = [...this.#bars.values()]
      .slice(0, MAX_BARS)
      .map(bar => barText(bar.label, bar.done, bar.total, now - bar.started).slice(0, width));
    this.#drawnRows = rows.length;
    this.#drawnAt = now;
    const text = `${up}${lines}${rows.map(row => `${row}\n`).join('')}`;
    if (text !== '') this.#stream.write(text);
  }
}
