/**
 * Names, link targets and PAX records are bytes, not text: a tar may hold any
 * encoding. Inside tar/ and ztoc/ they travel as "byte strings", JavaScript
 * strings with one char per byte (latin1): those compare and hash bytewise, and
 * take a fraction of the memory of small typed arrays.
 */

export function toByteString(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  if (Buffer.isBuffer(bytes)) return bytes.toString('latin1', start, end);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}

export function fromByteString(text: string): Uint8Array {
  // Not Buffer.from: its pooled memory would be shared with whoever gets the bytes.
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The text a person reads: UTF-8, with U+FFFD where the bytes are not. */
export function decodeByteString(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the test is for plain ASCII
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, 'latin1').toString('utf8');
}

/** For messages: JSON escapes show what a terminal would hide, and a peer's megabyte of name stays out of logs. */
export function quoteByteString(text: string): string {
  const quoted = JSON.stringify(decodeByteString(text.slice(0, 256)));
  return text.length <= 256 ? quoted : `${quoted}…`;
}
