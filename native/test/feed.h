// Scans bytes of a layer and hashes them, one right after the other.
#pragma once

#include "../core/layer_indexer.h"

namespace soci::test {

inline Status Feed(LayerIndexer* indexer, const uint8_t* in, size_t len,
                   uint64_t max_out, const std::atomic<bool>* abort,
                   size_t* consumed) {
  SpanCuts cuts;
  const Status scanned =
      indexer->Scan(in, len, max_out, abort, consumed, &cuts);
  const Status hashed = indexer->Digest(in, *consumed, cuts);
  return scanned.ok() ? hashed : scanned;
}

}  // namespace soci::test
