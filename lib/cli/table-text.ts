/** Rows of cells as lines of a table, its columns as wide as they must be. */
import { printable } from './printable.js';

export function tableText(rows: readonly (readonly string[])[]): string {
  const lines = rows.map(row => row.map(printable));
  const widths: number[] = [];
  for (const line of lines) {
    for (const [column, cell] of line.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  const text = (line: readonly string[]) =>
    line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return lines.map(line => `${text(line).trimEnd()}\n`).join('');
}
