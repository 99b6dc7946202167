#include "addon/hash_job.h"

namespace soci::addon {

HashJob::HashJob(Indexer* indexer, const uint8_t* data, size_t size,
                 SpanCuts* cuts, Indexer::Chunk* ended)
    : PoolJob(&indexer->hashes_, &indexer->aborted_),
      indexer_(indexer),
      data_(data),
      size_(size),
      ended_(ended) {
  cuts_.Swap(cuts);
}

Status HashJob::Execute(const std::atomic<bool>* /*aborted*/) {
  return indexer_->layer_->Digest(data_, size_, cuts_);
}

void HashJob::Executed(napi_env env, Status status) {
  // One that was aborted says nothing of those before it, which may be at the
  // same chunk now.
  if (ended_ != nullptr && status.code != Code::kAborted) {
    indexer_->EndChunk(ended_);
  }
  indexer_->HoldScans(env);
}

napi_value HashJob::Result(napi_env /*env*/, Status* /*status*/) {
  return nullptr;
}

}  // namespace soci::addon
