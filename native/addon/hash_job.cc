#include "addon/hash_job.h"

namespace soci::addon {

HashJob::HashJob(Indexer* indexer, const uint8_t* data, size_t size,
                 SpanCuts* cuts, bool ends_chunk)
    : PoolJob(&indexer->hashes_, &indexer->aborted_),
      indexer_(indexer),
      data_(data),
      size_(size),
      ends_chunk_(ends_chunk) {
  cuts_.Swap(cuts);
}

Status HashJob::Execute(const std::atomic<bool>* /*aborted*/) {
  return indexer_->layer_->Digest(data_, size_, cuts_);
}

void HashJob::Executed(napi_env env, Status /*status*/) {
  if (ends_chunk_) indexer_->EndChunk();
  indexer_->HoldScans(env);
}

napi_value HashJob::Result(napi_env /*env*/, Status* /*status*/) {
  return nullptr;
}

}  // namespace soci::addon
