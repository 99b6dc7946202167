// The JavaScript class Indexer over the core's LayerIndexer. Bytes are pushed,
// which copies them; runs scan them on the pool, one after the other; behind
// each run, and beside the next one, another job hashes what it scanned. So two
// threads are busy, and the scanning one never waits for script.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>

#include "addon/external_memory.h"
#include "addon/pool_job.h"
#include "core/layer_indexer.h"

namespace soci::addon {

class Indexer {
 public:
  static napi_value Define(napi_env env);

  void Detach(napi_env env) { memory_.Set(env, 0); }

 private:
  friend class ScanJob;
  friend class HashJob;
  friend class FeedJob;
  friend class FinishJob;

  // What is being scanned and what waits for it; then what is being hashed and
  // what waits for that.
  static constexpr size_t kMaxUnscanned = 2;
  static constexpr size_t kMaxUnhashed = 2;
  static constexpr size_t kChunks = kMaxUnscanned + kMaxUnhashed;

  struct Chunk {
    JobMemory memory;
    size_t size = 0;
    size_t scanned = 0;
  };

  static napi_value New(napi_env env, napi_callback_info info);
  static napi_value Push(napi_env env, napi_callback_info info);
  static napi_value Run(napi_env env, napi_callback_info info);
  static napi_value FeedSync(napi_env env, napi_callback_info info);
  static napi_value Finish(napi_env env, napi_callback_info info);
  static napi_value FinishSync(napi_env env, napi_callback_info info);
  static napi_value Abort(napi_env env, napi_callback_info info);

  bool ReadOptions(napi_env env, napi_value object,
                   LayerIndexer::Options* options);
  bool ReadExpected(napi_env env, napi_value rows);
  bool idle() const { return !scans_.busy() && pushed_ == scanned_; }
  void HoldScans(napi_env env);
  void ReportMemory(napi_env env, uint64_t checkpoints);

  // At most one run waits behind the one under way. Held while hashing lags.
  JobLane scans_{2};
  JobLane hashes_{SIZE_MAX};  // a few: see HoldScans. `finish` comes last
  // Chunks in the order of the layer, each at its number modulo kChunks.
  Chunk chunks_[kChunks];
  uint64_t pushed_ = 0;     // numbers of the next chunk to be pushed,
  uint64_t scanned_ = 0;    // scanned
  uint64_t hashed_ = 0;     // and hashed
  bool hash_lost_ = false;  // for want of memory
  std::unique_ptr<CheckpointPosition[]> expected_;
  size_t expected_count_ = 0;
  std::unique_ptr<LayerIndexer> layer_;  // nullptr once finished
  ExternalMemory memory_;
};

}  // namespace soci::addon
