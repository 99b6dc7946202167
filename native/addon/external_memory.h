// Tells V8 how much memory hangs on a small wrapper object: an indexer keeps
// 32 KiB per checkpoint, and a collector that saw only the wrapper would let
// dropped ones pile up. Raw Node-API: what cannot be told, since script is
// over, needs no exception.
#pragma once

#include <node_api.h>

#include <cstdint>

namespace soci::addon {

class ExternalMemory {
 public:
  void Set(napi_env env, uint64_t bytes) {
    int64_t total = 0;
    const int64_t change = static_cast<int64_t>(bytes) - reported_;
    if (change != 0 &&
        napi_adjust_external_memory(env, change, &total) == napi_ok) {
      reported_ += change;
    }
  }

 private:
  int64_t reported_ = 0;
};

}  // namespace soci::addon
