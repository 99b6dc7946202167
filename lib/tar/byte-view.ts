/**
 * A run of bytes inside of others, looked at without a copy, and moved on to the
 * next: that way hundreds of thousands of names pass by as no objects at all.
 */
export class ByteView {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;

  set(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  /** Moves to the bytes of a byte string. */
  setText(text: string): void {
    this.set(Buffer.from(text, 'latin1'), 0, text.length);
  }

  equals({ bytes, start, end }: ByteView): boolean {
    if (end - start !== this.end - this.start) return false;
    for (let i = 0; start + i < end; i += 1) {
      if (bytes[start + i] !== this.bytes[this.start + i]) return false;
    }
    return true;
  }

  /** As a byte string. */
  text(): string {
    const { buffer, byteOffset } = this.bytes;
    return Buffer.from(buffer, byteOffset + this.start, this.end - this.start).toString('latin1');
  }
}
