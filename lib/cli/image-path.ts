/**
 * The operand IMAGE:PATH. References, tags and digests never contain `:/`, so
 * the first one behind the scheme (and drive) of a layout divides the two.
 */
import { UsageError } from './command.js';

const PREFIX = /^(?:docker:\/\/|(?:oci|oci-archive|docker-archive):(?!\/\/)(?:[A-Za-z]:(?=[\\/][^:]))?)/;

export interface ImagePathOperand {
  readonly image: string;
  /** Absolute in the image. */
  readonly path: string;
}

/** @throws UsageError */
export function splitImagePath(operand: string): ImagePathOperand {
  const from = PREFIX.exec(operand)?.[0].length ?? 0;
  const colon = operand.indexOf(':/', from);
  // '://' is a URL's.
  if (colon <= from || operand.startsWith('//', colon + 1)) {
    throw new UsageError('expected IMAGE:/PATH, with a path that begins with /');
  }
  return { image: operand.slice(0, colon), path: operand.slice(colon + 1) };
}
