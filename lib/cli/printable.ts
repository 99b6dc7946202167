/**
 * Text from archives and servers made safe for a terminal: control characters,
 * with which a name could move the cursor or forge further lines, are escaped.
 */
import { isUtf8 } from 'node:buffer';

// C0, DEL, C1, line and paragraph separators, and the marks that reverse the direction of text.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

export function printable(text: string): string {
  return text.replace(CONTROL, found => {
    const code = found.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** A name from an image, which may be any bytes: what is no UTF-8 is escaped byte by byte. */
export function printableName(name: Uint8Array): string {
  if (isUtf8(name)) return printable(Buffer.from(name).toString());
  const bytes = Buffer.from(name).toString('latin1');
  return printable(bytes.replace(/[\u00a0-\u00ff]/g, byte => `\\x${byte.charCodeAt(0).toString(16)}`));
}
