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

class BlockFinder {
 public:
  // `stop` is polled every few KiB; never nullptr.
  BlockFinder(const uint8_t* data, size_t size, const std::atomic<bool>* stop)
      : data_(data),
        size_(size),
        stop_(stop),
        headers_left_(kFewHeaders + size / kBytesPerHeader) {}

  // A start at or behind `from` (in bits): the first, give or take the six
  // bytes that are looked at at a time. False if there is none, when `stop` is
  // raised, or once more of the data looked like headers than may be read.
  bool Find(uint64_t from, BlockStart* start);

 private:
  // Headers that are read in full, which takes a few hundred times as long as
  // refusing a position: one for so many bytes, and a few. In noise it is one
  // for some 225. Whoever wrote the data may have made it one for four.
  static constexpr size_t kBytesPerHeader = 64;
  static constexpr size_t kFewHeaders = 64;

  bool IsDynamicBlock(uint64_t position);
  bool BlockFollows(uint64_t position);
  bool IsStoredBlock(size_t at, uint64_t from, BlockStart* start);

  const uint8_t* const data_;
  const size_t size_;
  const std::atomic<bool>* const stop_;
  size_t headers_left_;
};

}  // namespace soci
