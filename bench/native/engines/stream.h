// A gzip file in memory and its spans, cut as a ztoc cuts them: what every
// engine of the comparison is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct Span {
  size_t in, in_end;    // bytes of the DEFLATE stream; in_end is exclusive
  size_t out, out_end;  // bytes of the decoded stream
  uint8_t bits;         // of the byte before `in` that begin the span
  std::vector<uint8_t> window;  // the 32 KiB before; empty for the first span
};

struct Stream {
  std::vector<uint8_t> deflate;  // raw RFC 1951, the only member's
  std::vector<uint8_t> decoded;  // by zlib, the reference
};

// Ends the program with a message if `path` is not a gzip file of one member.
Stream LoadStream(const std::string& path);

// A span ends at the first block boundary at least `size` bytes after its
// start.
std::vector<Span> CutSpans(const Stream& stream, size_t size);

}  // namespace bench
