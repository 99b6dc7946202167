/**
 * Windows are covered by no digest inside a ztoc: a forged window lets a span
 * with the right digest decode to wrong bytes. But the window of span k + 1 is
 * nothing but the last 32 KiB before it, so whenever the output of span k is at
 * hand the two must agree.
 */
import { SociError } from '../errors.js';
import type { SpanTable } from './span-table.js';

/** RFC 1951 §3.2.5: no match reaches further back than this. */
export const WINDOW_BYTES = 32768;

/** The last 32 KiB of `before` (itself a window) followed by `output`. */
export function windowAfter(before: Uint8Array, output: Uint8Array): Uint8Array {
  if (output.length >= WINDOW_BYTES) return output.subarray(output.length - WINDOW_BYTES);
  const window = new Uint8Array(WINDOW_BYTES);
  window.set(before.subarray(output.length));
  window.set(output, WINDOW_BYTES - output.length);
  return window;
}

/** Whether the window of a span is `before` + `output` of the span in front of it, without building it. */
export function windowFollows(window: Uint8Array, before: Uint8Array, output: Uint8Array): boolean {
  if (window.length !== WINDOW_BYTES) return false;
  const tail = output.subarray(Math.max(0, output.length - WINDOW_BYTES));
  const kept = WINDOW_BYTES - tail.length;
  return (
    Buffer.compare(window.subarray(kept), tail) === 0 &&
    Buffer.compare(window.subarray(0, kept), before.subarray(WINDOW_BYTES - kept)) === 0
  );
}

/**
 * Compares the window of the span after `span` with the bytes before it.
 *
 * @param before the window of `span`; undefined: the layer has none
 * @param output what `span` decodes to
 * @throws SociError ERR_SOCI_WINDOW_MISMATCH
 */
export function checkNextWindow(
  table: SpanTable,
  name: string,
  span: number,
  before: Uint8Array | undefined,
  output: Uint8Array,
): void {
  if (before === undefined || span + 1 >= table.spanCount) return;
  const window = table.window(span + 1);
  if (window !== undefined && !windowFollows(window, before, output)) throw windowMismatch(name, span + 1);
}

/**
 * The reader reports either the window of `span` or the one its decoder began
 * with as forged: which of the two cannot be told from one span.
 */
function windowMismatch(name: string, span: number): SociError {
  return new SociError(
    'ERR_SOCI_WINDOW_MISMATCH',
    `the window of span ${span} of ${name} is not the last 32 KiB that span ${span - 1} decodes to: ` +
      'the ztoc was forged or does not belong to this layer',
    { data: { span } },
  );
}
