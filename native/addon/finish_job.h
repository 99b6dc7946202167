// Ends the layer of an indexer. Among the hashes, behind the last of them.
// Resolves to an IndexResult of lib/binding.ts.
#pragma once

#include <memory>

#include "addon/indexer.h"
#include "addon/pool_job.h"
#include "core/layer_indexer.h"

namespace soci::addon {

class FinishJob final : public PoolJob {
 public:
  // `misused`: only to fail.
  FinishJob(Indexer* indexer, bool misused);

 private:
  Status Execute(const std::atomic<bool>* aborted) override;
  void Executed(napi_env env, Status status) override;
  napi_value Result(napi_env env, Status* status) override;
  napi_value MakeZinfo(napi_env env);

  Indexer* indexer_;
  bool misused_;
  std::unique_ptr<LayerIndexer> layer_;
};

}  // namespace soci::addon
