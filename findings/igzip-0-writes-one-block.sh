#!/usr/bin/env bash
# igzip 2.30.0 (ISA-L, Debian 2.30.0-5): at level 0 a whole file becomes one DEFLATE
# block, with one code for all of it, however long it is; at level 1 and above there is
# a new block at least every MiB or so, as with gzip and pigz.
#
# A decoder can start only where a block does (RFC 1951, 3.2.3), so whoever indexes such
# a stream for random access finds no second place to begin at: reading the last byte
# costs the whole stream.
# Fails when that changes. Needs Debian's apt, a C compiler and zlib's headers; isal is
# only unpacked, not installed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq isal=2.30.0-5 libisal2=2.30.0-5 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" tools; done
LD_LIBRARY_PATH="$work/$(dirname "$(find tools -name 'libisal.so.2' | head -1)")"
export LD_LIBRARY_PATH

cat > blocks.c <<'C'
#include <stdio.h>
#include <zlib.h>
/* Prints how many DEFLATE blocks a gzip stream has, and for how many bytes the longest stands. */
int main(void) {
  static unsigned char in[1 << 16], out[1 << 16];
  z_stream s = {0};
  unsigned long blocks = 0, total = 0, start = 0, longest = 0;
  if (inflateInit2(&s, 31) != Z_OK) return 1;
  for (int status = Z_OK; status != Z_STREAM_END;) {
    if (s.avail_in == 0) {
      s.next_in = in;
      s.avail_in = fread(in, 1, sizeof in, stdin);
      if (s.avail_in == 0) return 1;
    }
    s.next_out = out;
    s.avail_out = sizeof out;
    status = inflate(&s, Z_BLOCK);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) return 1;
    total += sizeof out - s.avail_out;
    if (s.data_type & 128) {
      if (total > start) blocks++;
      if (total - start > longest) longest = total - start;
      start = total;
    }
  }
  printf("%lu %lu\n", blocks, longest);
  return 0;
}
C
cc -O2 -o blocks blocks.c -lz
seq 1 6000000 > data
size=$(stat -c %s data)

for level in 0 1; do
  tools/usr/bin/igzip -$level -c data > "data.$level.gz"
  gzip -dc "data.$level.gz" | cmp - data
  read -r blocks longest < <(./blocks < "data.$level.gz")
  echo "igzip -$level: $blocks blocks, the longest of $longest of $size bytes"
  found[$level]="$blocks $longest"
done
[ "${found[0]}" = "1 $size" ] || { echo 'level 0 no longer writes one block' >&2; exit 1; }
[ "${found[1]%% *}" -gt 10 ] || { echo 'level 1 writes few blocks too' >&2; exit 1; }
echo 'as described: at level 0 there is one block'
