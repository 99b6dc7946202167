// Where a DEFLATE block may begin, told from the bytes alone: so that decoding
// can begin in the middle of a stream that nobody has decoded up to there. A
// start that is found may be none, though that is rare, and one may be missed:
// who uses it must arrive there to know.
//
// Found are blocks that are not the last: dynamic ones, whose header is long
// and has to be right in many ways, and stored ones that another block follows
// which can be told. Fixed ones have nothing to tell them by.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace soci {

// A block begins at one of these positions, in bits. They differ for stored
// blocks alone: their prefix is three zeros, and zeros follow up to a byte.
struct BlockStart {
  uint64_t first;
  uint64_t last;
};

// A start at or behind `from` (in bits) of `data`: the first, give or take the
// six bytes that are looked at at a time. False if there is none, or when
// `stop` is raised, which is polled every few KiB; never nullptr.
bool FindBlock(const uint8_t* data, size_t size, uint64_t from,
               const std::atomic<bool>* stop, BlockStart* start);

}  // namespace soci
