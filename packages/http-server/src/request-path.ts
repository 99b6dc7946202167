/**
 * From a request's target to a path in the image, and back. Names are bytes,
 * which percent-encoding (RFC 3986 section 2.1) carries whatever they are. What
 * a proxy might read otherwise is refused, not repaired: dots, encoded slashes, NUL.
 */
import { Refusal } from './refusal.js';

export interface RequestPath {
  /** Absolute, without a slash at its end but for the root. */
  readonly path: Buffer;
  /** Whether it ends in a slash, as those of directories do. */
  readonly directory: boolean;
}

const SLASH = Buffer.from('/');

/** @throws Refusal 400 */
export function requestPath(target: string): RequestPath {
  // Servers must understand the absolute form too (RFC 9112 section 3.2.2).
  const absolute = target.replace(/^https?:\/\/[^/?#]*/i, '');
  const [text = ''] = absolute.split(/[?#]/, 1);
  if (!text.startsWith('/')) throw new Refusal(400, 'the target is no path');
  const segments = text.split('/').slice(1);
  const directory = segments.at(-1) === '';
  if (directory) segments.pop();
  const names = segments.map(decodeSegment);
  return {
    path: Buffer.concat(names.length === 0 ? [SLASH] : names.flatMap(name => [SLASH, name])),
    directory,
  };
}

function decodeSegment(text: string): Buffer {
  // Node hands on what came over the wire as latin1.
  const decoded = Buffer.from(
    text.replace(/%([0-9a-f]{2})?/gi, (_, hex: string | undefined) => {
      if (hex === undefined) throw new Refusal(400, 'a percent sign without two hex digits');
      return String.fromCharCode(Number.parseInt(hex, 16));
    }),
    'latin1',
  );
  const name = decoded.toString('latin1');
  if (name === '' || name === '.' || name === '..')
    throw new Refusal(400, 'an empty segment, or one of dots');
  if (/[/\0]/.test(name)) throw new Refusal(400, 'a slash or NUL in a name');
  return decoded;
}

/** A name as one segment of a URL. */
export function encodeSegment(name: Uint8Array): string {
  return Array.from(name, byte => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_.~-]/.test(character)
      ? character
      : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`;
  }).join('');
}
