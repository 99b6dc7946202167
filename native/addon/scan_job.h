// Scans the first chunk of an indexer that has not been scanned yet, or as much
// of it as one job may; has it hashed then. Resolves to a ScanResult of
// lib/binding.ts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "addon/indexer.h"
#include "addon/pool_job.h"
#include "core/growable_buffer.h"
#include "core/span_cuts.h"

namespace soci::addon {

class ScanJob final : public PoolJob {
 public:
  explicit ScanJob(Indexer* indexer);

 private:
  Status Execute(const std::atomic<bool>* aborted) override;
  void Executed(napi_env env, Status status) override;
  napi_value Result(napi_env env, Status* status) override;

  Indexer* indexer_;
  bool misused_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  Indexer::Chunk* ended_ = nullptr;  // the chunk that it came to the end of
  SpanCuts cuts_;
  // What the scan found, safe from the next one.
  size_t consumed_ = 0;
  uint64_t produced_ = 0;  // in total
  uint64_t checkpoints_ = 0;
  GrowableBuffer headers_;
};

}  // namespace soci::addon
