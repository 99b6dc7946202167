#include "addon/scan_job.h"

#include "addon/hash_job.h"
#include "addon/job_result.h"

namespace soci::addon {

ScanJob::ScanJob(Indexer* indexer)
    : PoolJob(&indexer->scans_, &indexer->aborted_),
      indexer_(indexer),
      misused_(indexer->finishing_) {}

Status ScanJob::Execute(const std::atomic<bool>* aborted) {
  if (misused_) return Status::At(Code::kMisuse, 0);
  LayerIndexer* layer = indexer_->layer_.get();
  LookAhead* ahead = indexer_->ahead_.get();
  // An earlier scan may have left a part of its chunk.
  const uint64_t number = indexer_->scanned_.load(std::memory_order_relaxed);
  Indexer::Chunk* chunk = nullptr;
  if (number < indexer_->pushed_.load(std::memory_order_acquire)) {
    chunk = &indexer_->chunks_[number % Indexer::kChunks];
    data_ = chunk->memory.data() + chunk->scanned;
    size_ = chunk->size - chunk->scanned;
    if (ahead != nullptr) ahead->Enter(number, layer->compressed_size());
  }
  const Status status =
      layer->Scan(data_, size_, kMaxJobOutput, aborted, &consumed_, &cuts_);
  produced_ = layer->uncompressed_size();
  checkpoints_ = layer->checkpoints().size();
  layer->TakeHeaders(&headers_);
  if (chunk == nullptr || !status.ok()) return status;
  chunk->scanned += consumed_;
  if (chunk->scanned == chunk->size) {
    ended_ = chunk;
    if (ahead != nullptr) ahead->Leave();
    indexer_->scanned_.store(number + 1, std::memory_order_release);
  }
  return status;
}

void ScanJob::Executed(napi_env env, Status status) {
  if (!status.ok()) indexer_->SetActive(false);
  if (!status.ok() || data_ == nullptr) return;
  if (!QueueUnseen(env,
                   NewJob<HashJob>(indexer_, data_, consumed_, &cuts_, ended_),
                   {Held(env, 0)})) {
    indexer_->hash_lost_ = true;
    if (ended_ != nullptr) indexer_->EndChunk(ended_);
  }
  indexer_->HoldScans(env);
  indexer_->Measure(consumed_, produced_);
  indexer_->GuessFurther(env, Held(env, 0));
  indexer_->ReportMemory(env, checkpoints_);
}

napi_value ScanJob::Result(napi_env env, Status* /*status*/) {
  JobResult result(env);
  result.Number("consumed", consumed_);
  result.Number("produced", produced_);
  result.Bytes("headers", headers_.size() == 0 ? nullptr : headers_.data(),
               headers_.size());
  return result.get();
}

}  // namespace soci::addon
