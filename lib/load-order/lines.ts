/** Text that arrives in pieces, line by line; a line that is longer than any real one is cut. */

const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let kept: Buffer[] = [];
  let length = 0;
  const keep = (piece: Buffer): void => {
    const part = piece.subarray(0, MAX_LINE_BYTES - length);
    if (part.length > 0) kept.push(part);
    length += part.length;
  };
  const taken = (): string => {
    const line = Buffer.concat(kept).toString();
    kept = [];
    length = 0;
    return line;
  };
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, at)) {
      keep(bytes.subarray(at, end));
      yield taken();
      at = end + 1;
    }
    keep(Buffer.from(bytes.subarray(at)));
  }
  if (length > 0) yield taken();
}
