/** Plain loops over the spans of a layer, without Node: what jobs on the pool are measured against. */
import { readFileSync, writeFileSync } from 'node:fs';
import { Ztoc } from '../lib/index.js';
import type { Layer } from './corpus.js';
import { type Measures, yardstick } from './process.js';
import { cached } from './workspace.js';

/** Runs it, with further arguments of its own. */
export type SpanLoop = (...more: string[]) => Promise<Measures>;

/** @param program span-loop or core-loop of bench/native/, compiled; each run is `passes` over all spans */
export async function spanLoop(program: string, layer: Layer, passes: number): Promise<SpanLoop> {
  const ztoc = Ztoc.decode(readFileSync(layer.ztocPath));
  const args = [layer.path, await spanTable(ztoc), String(ztoc.spanCount), String(passes)];
  return (...more) => yardstick(program, [...args, ...more]);
}

/** The spans as the programs read them. */
async function spanTable(ztoc: Ztoc): Promise<string> {
  return cached(`spans-${ztoc.digest.slice(-12)}`, async partial => {
    const rows = Array.from({ length: ztoc.spanCount }, (_, i) => {
      const span = ztoc.span(i);
      const output = span.uncompressedEnd - span.uncompressedStart;
      const fields = [span.compressedStart, span.compressedEnd, output, span.bits];
      const row = Buffer.alloc(32 + 32768);
      for (const [at, field] of fields.entries()) row.writeBigUInt64LE(BigInt(field), at * 8);
      row.set(ztoc.window(i) ?? new Uint8Array(32768), 32);
      return row;
    });
    writeFileSync(partial, Buffer.concat(rows));
  });
}
