// Decodes a chunk of an indexer ahead of its scans, if one is to be done when
// a thread is there. Script knows nothing of it.
#pragma once

#include <memory>

#include "addon/indexer.h"

namespace soci::addon {

class GuessJob final : public PoolJob {
 public:
  explicit GuessJob(Indexer* indexer);

 private:
  Status Execute(const std::atomic<bool>* aborted) override;
  void Executed(napi_env env, Status status) override;
  napi_value Result(napi_env env, Status* status) override;

  Indexer* indexer_;
  std::shared_ptr<LookAhead> ahead_;  // outlives `finish`
};

}  // namespace soci::addon
