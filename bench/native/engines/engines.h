// The engines that are compared. Each decodes into `out`, which has the size
// of the decoded stream, and returns false if it could not. All of them skip
// CRC32, which is no part of DEFLATE.
#pragma once

#include <vector>

#include "stream.h"

namespace bench {

// Whole streams, one call.
bool ZlibWhole(const Stream& stream, uint8_t* out);
bool LibdeflateWhole(const Stream& stream, uint8_t* out);
bool FastWhole(const Stream& stream, uint8_t* out);

// One span from its window and bit offset, as a lazy reader does.
bool ZlibSpan(const Stream& stream, const Span& span, uint8_t* out);
bool IsalSpan(const Stream& stream, const Span& span, uint8_t* out);
bool FastSpan(const Stream& stream, const Span& span, uint8_t* out);

// Two spans at once, each to its place in the decoded stream.
bool FastPair(const Stream& stream, const Span& a, const Span& b, uint8_t* out);

}  // namespace bench
