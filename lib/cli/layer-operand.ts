/**
 * The LAYER operand: a path, an http(s) URL, or `-` for standard input. Reading
 * single files needs random access; building and verifying take any stream, so
 * there pipes and process substitutions do as well.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { FileSource, HttpSource, type RangeSource } from '../index.js';
import { type Invocation, UsageError } from './command.js';

export interface LayerInput<S> {
  readonly source: S;
  /** Bytes, if they are known before reading. */
  readonly size: number | undefined;
  close(): Promise<void>;
}

/** @throws UsageError for a URL of another scheme, which would be looked for as a file */
function isUrl(operand: string): boolean {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(operand)?.[1]?.toLowerCase();
  if (scheme === undefined) return false;
  if (scheme === 'http' || scheme === 'https') return true;
  throw new UsageError(
    `LAYER: expected a path or a URL of the scheme http or https, found one of '${scheme}'`,
  );
}

function fromSource(source: RangeSource): LayerInput<RangeSource> {
  return { source, size: source.size, close: () => source.close() };
}

/** A layer that files are read out of. */
export async function openRanges(operand: string, signal: AbortSignal): Promise<LayerInput<RangeSource>> {
  if (operand === '-') {
    throw new UsageError('LAYER must be a path or a URL here: standard input cannot be read at random');
  }
  return fromSource(
    isUrl(operand) ? await HttpSource.open(operand, { signal }) : await FileSource.open(operand, { signal }),
  );
}

function fromStream(source: Readable): LayerInput<Readable> {
  return {
    source,
    size: undefined,
    close: async () => {
      source.destroy();
    },
  };
}

/** A layer that is read once from its first byte to its last. */
export async function openStream(
  operand: string,
  { signal, input }: Invocation,
): Promise<LayerInput<RangeSource | Readable>> {
  if (operand === '-') return fromStream(input());
  if (isUrl(operand)) return fromSource(await HttpSource.open(operand, { signal, ranges: 'optional' }));
  const found = await stat(operand).catch(() => undefined);
  if (found?.isFIFO() || found?.isCharacterDevice()) return fromStream(createReadStream(operand));
  return fromSource(await FileSource.open(operand, { signal }));
}
