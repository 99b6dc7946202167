#include "addon/finish_job.h"

#include <utility>

#include "addon/job_result.h"

namespace soci::addon {

FinishJob::FinishJob(Indexer* indexer, bool misused)
    : PoolJob(&indexer->hashes_, &indexer->aborted_),
      indexer_(indexer),
      misused_(misused) {}

Status FinishJob::Execute(const std::atomic<bool>* /*aborted*/) {
  if (misused_) return Status::At(Code::kMisuse, 0);
  // Whatever comes of it, this indexer has done its work.
  layer_ = std::move(indexer_->layer_);
  return layer_->Finish();
}

void FinishJob::Executed(napi_env env, Status /*status*/) {
  indexer_->HoldScans(env);  // no longer, if this was among the hashes
  if (!misused_) {
    // What hashes have put aside. Of those that were aborted nothing is.
    for (JobMemory& spare : indexer_->spare_) spare = JobMemory();
    indexer_->spares_ = 0;
    indexer_->ahead_ = nullptr;
    indexer_->SetActive(false);
  }
  if (layer_ != nullptr) indexer_->ReportMemory(env, 0);
}

napi_value FinishJob::Result(napi_env env, Status* /*status*/) {
  const GrowableBuffer& digests = layer_->span_digests();
  JobResult result(env);
  result.Number("compressedSize", layer_->compressed_size());
  result.Number("uncompressedSize", layer_->uncompressed_size());
  result.Number("tarEnd", layer_->tar_end());
  result.Bytes("layerDigest", layer_->layer_digest(), Sha256::kDigestSize);
  result.Bytes("diffId", layer_->diff_id(), Sha256::kDigestSize);
  static const uint8_t nothing = 0;
  result.Bytes("spanDigests", digests.size() == 0 ? &nothing : digests.data(),
               digests.size());
  result.Set("zinfo", MakeZinfo(env));
  return result.get();
}

napi_value FinishJob::MakeZinfo(napi_env env) {
  const CheckpointList& checkpoints = layer_->checkpoints();
  napi_value blob = nullptr;
  if (checkpoints.size() == 0) {
    napi_get_undefined(env, &blob);
    return blob;
  }
  constexpr auto kVersion = CheckpointList::Version::kV2;
  uint8_t* data = nullptr;
  blob = MakeBytes(env, checkpoints.BlobSize(kVersion), &data);
  if (blob != nullptr) checkpoints.Serialize(kVersion, data);
  return blob;
}

}  // namespace soci::addon
