/**
 * Options of calls that give text or bytes, as node:fs takes them: an encoding
 * stands alone in the place of the options too, null is none, and 'buffer' is
 * bytes. An encoding that nobody knows is refused before anything is read.
 */
import { checkOptions } from '../arguments.js';
import { invalidArgument, invalidText } from '../errors.js';
import type { NameEncoding } from '../tree/path-lookup.js';

export interface Encoded {
  readonly encoding?: NameEncoding | null | undefined;
}

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT for names and encodings that are not known */
export function encodingOptions<Options extends Encoded>(
  caller: string,
  given: Options | NameEncoding | null | undefined,
  known: Readonly<Record<keyof Options, unknown>>,
): Options {
  const alone = typeof given === 'string' || given === null;
  const options = (alone ? { encoding: given } : (given ?? {})) as Options;
  checkOptions(caller, options, known);
  checkEncoding(options.encoding);
  return options;
}

/** Undefined: bytes. */
export function textEncoding({ encoding }: Encoded): BufferEncoding | undefined {
  return encoding === 'buffer' ? undefined : (encoding ?? undefined);
}

function checkEncoding(encoding: unknown): void {
  if (encoding === undefined || encoding === null || encoding === 'buffer') return;
  const expected = "an encoding that Buffer knows, 'buffer' or null";
  if (typeof encoding !== 'string') throw invalidArgument('encoding', expected, encoding);
  if (!Buffer.isEncoding(encoding)) throw invalidText('encoding', expected, encoding);
}
