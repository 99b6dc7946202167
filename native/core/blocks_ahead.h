// Where an indexer may find blocks of its stream decoded already.
#pragma once

#include <cstdint>

#include "marked_blocks.h"

namespace soci {

class BlocksAhead {
 public:
  virtual ~BlocksAhead() = default;

  // A block starts at bit `position` of the stream. The blocks decoded from
  // exactly there on, or nullptr; `*origin` is where in the stream their data
  // begins, in bytes. What is returned stays as it is while the stream does not
  // go on beyond them.
  virtual const MarkedBlocks* At(uint64_t position, uint64_t* origin) = 0;
};

}  // namespace soci
