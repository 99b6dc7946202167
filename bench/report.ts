/** What a benchmark gives back, and how it is printed. */

export interface Row {
  readonly name: string;
  readonly value: string;
  /** Against what, and what is aimed at: `0.97× of the C loop (aim ≥ 0.95×)`. */
  readonly ratio?: string;
}

export interface Report {
  readonly title: string;
  /** Corpus, compressor, span size, threads, cold or warm. */
  readonly conditions: string;
  readonly rows: readonly Row[];
  /** What was required and is not so. */
  readonly failures?: readonly string[];
  /** All numbers of all trials, for --json. */
  readonly raw: Readonly<Record<string, unknown>>;
}

export function printReport({ title, conditions, rows }: Report): void {
  const width = Math.max(...rows.map(row => row.name.length));
  const valueWidth = Math.max(...rows.map(row => row.value.length));
  console.log(`\n${title}\n  ${conditions}`);
  for (const { name, value, ratio } of rows) {
    const line = `  ${name.padEnd(width)}  ${value.padStart(valueWidth)}  ${ratio ?? ''}`;
    console.log(line.trimEnd());
  }
}

export function times(factor: number): string {
  return `${factor.toFixed(2)}×`;
}

/** Bytes per millisecond as decimal megabytes per second. */
export function megabytesPerSecond(bytes: number, milliseconds: number): string {
  return `${(bytes / milliseconds / 1000).toFixed(0)} MB/s`;
}
