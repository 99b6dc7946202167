// The JavaScript class Indexer over the core's LayerIndexer: feed, finish and
// abort, synchronously or on the pool. One call at a time.
#pragma once

#include <node_api.h>

#include <memory>

#include "addon/external_memory.h"
#include "addon/pool_job.h"
#include "core/growable_buffer.h"
#include "core/layer_indexer.h"

namespace soci::addon {

class Indexer {
 public:
  static napi_value Define(napi_env env);

  void Detach(napi_env env) { memory_.Set(env, 0); }

 private:
  friend class FeedJob;
  friend class FinishJob;

  static napi_value New(napi_env env, napi_callback_info info);
  static napi_value Feed(napi_env env, napi_callback_info info);
  static napi_value FeedSync(napi_env env, napi_callback_info info);
  static napi_value Finish(napi_env env, napi_callback_info info);
  static napi_value FinishSync(napi_env env, napi_callback_info info);
  static napi_value Abort(napi_env env, napi_callback_info info);

  bool ReadOptions(napi_env env, napi_value object,
                   LayerIndexer::Options* options);
  bool ReadExpected(napi_env env, napi_value rows);
  void ReportMemory(napi_env env);

  JobSlot slot_;
  JobMemory chunk_;
  std::unique_ptr<CheckpointPosition[]> expected_;
  size_t expected_count_ = 0;
  std::unique_ptr<LayerIndexer> layer_;  // nullptr once finished
  ExternalMemory memory_;
};

}  // namespace soci::addon
