// Hashes what one scan of an indexer consumed. Script knows nothing of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "addon/indexer.h"
#include "addon/pool_job.h"
#include "core/span_cuts.h"

namespace soci::addon {

class HashJob final : public PoolJob {
 public:
  // Takes what `cuts` holds. `ended`: the chunk that this is the last of, if
  // any.
  HashJob(Indexer* indexer, const uint8_t* data, size_t size, SpanCuts* cuts,
          Indexer::Chunk* ended);

 private:
  Status Execute(const std::atomic<bool>* aborted) override;
  void Executed(napi_env env, Status status) override;
  napi_value Result(napi_env env, Status* status) override;

  Indexer* indexer_;
  const uint8_t* data_;
  size_t size_;
  Indexer::Chunk* ended_;
  SpanCuts cuts_;
};

}  // namespace soci::addon
