// Where an indexer sends the uncompressed stream as it appears. The bytes are
// borrowed for the call only; an error ends the indexing and is passed on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace soci {

class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual Status Write(const uint8_t* data, size_t len) = 0;
};

}  // namespace soci
