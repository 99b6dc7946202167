#include "addon/indexer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "addon/values.h"
#include "addon/wrapped.h"

namespace soci::addon {

// What a scan found, safe from the next one.
struct ScanResult {
  size_t consumed = 0;
  uint64_t produced = 0;  // in total
  uint64_t checkpoints = 0;
  GrowableBuffer headers;

  void Take(LayerIndexer* layer) {
    produced = layer->uncompressed_size();
    checkpoints = layer->checkpoints().size();
    layer->TakeHeaders(&headers);
  }

  napi_value ToJavaScript(napi_env env) const {
    napi_value records = headers.size() == 0
                             ? MakeUndefined(env)
                             : MakeBytes(env, headers.data(), headers.size());
    napi_value result = nullptr;
    if (napi_create_object(env, &result) != napi_ok ||
        !SetProperty(env, result, "consumed", MakeNumber(env, consumed)) ||
        !SetProperty(env, result, "produced", MakeNumber(env, produced)) ||
        !SetProperty(env, result, "headers", records)) {
      return nullptr;
    }
    return result;
  }
};

// Hashes what one scan consumed.
class HashJob final : public PoolJob {
 public:
  HashJob(Indexer* indexer, const uint8_t* data, size_t size, SpanCuts* cuts,
          bool ends_chunk)
      : PoolJob(&indexer->hashes_, &indexer->aborted_),
        indexer_(indexer),
        data_(data),
        size_(size),
        ends_chunk_(ends_chunk) {
    cuts_.Swap(cuts);
  }

 private:
  Status Execute(const std::atomic<bool>* /*aborted*/) override {
    return indexer_->layer_->Digest(data_, size_, cuts_);
  }

  void Executed(napi_env env, Status /*status*/) override {
    if (ends_chunk_) indexer_->hashed_++;
    indexer_->HoldScans(env);
  }

  napi_value Result(napi_env /*env*/, Status* /*status*/) override {
    return nullptr;
  }

  Indexer* indexer_;
  const uint8_t* data_;
  size_t size_;
  bool ends_chunk_;
  SpanCuts cuts_;
};

// Scans the first chunk that has not been scanned yet, or as much of it as one
// job may.
class ScanJob final : public PoolJob {
 public:
  explicit ScanJob(Indexer* indexer)
      : PoolJob(&indexer->scans_, &indexer->aborted_),
        indexer_(indexer),
        misused_(indexer->finishing_) {}

 private:
  Status Execute(const std::atomic<bool>* aborted) override {
    if (misused_) return Status::At(Code::kMisuse, 0);
    LayerIndexer* layer = indexer_->layer_.get();
    // An earlier scan may have left a part of its chunk.
    const uint64_t number = indexer_->scanned_.load(std::memory_order_relaxed);
    Indexer::Chunk* chunk = nullptr;
    if (number < indexer_->pushed_.load(std::memory_order_acquire)) {
      chunk = &indexer_->chunks_[number % Indexer::kChunks];
      data_ = chunk->memory.data() + chunk->scanned;
      size_ = chunk->size - chunk->scanned;
    }
    const Status status = layer->Scan(data_, size_, kMaxJobOutput, aborted,
                                      &result_.consumed, &cuts_);
    result_.Take(layer);
    if (chunk == nullptr || !status.ok()) return status;
    chunk->scanned += result_.consumed;
    ends_chunk_ = chunk->scanned == chunk->size;
    if (ends_chunk_) {
      indexer_->scanned_.store(number + 1, std::memory_order_release);
    }
    return status;
  }

  void Executed(napi_env env, Status status) override {
    if (!status.ok() || data_ == nullptr) return;
    if (!QueueUnseen(env,
                     NewJob<HashJob>(indexer_, data_, result_.consumed, &cuts_,
                                     ends_chunk_),
                     {Held(env, 0)})) {
      indexer_->hash_lost_ = true;
      if (ends_chunk_) indexer_->hashed_++;
    }
    indexer_->HoldScans(env);
    indexer_->ReportMemory(env, result_.checkpoints);
  }

  napi_value Result(napi_env env, Status* /*status*/) override {
    return result_.ToJavaScript(env);
  }

  Indexer* indexer_;
  bool misused_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  bool ends_chunk_ = false;
  SpanCuts cuts_;
  ScanResult result_;
};

// Among the hashes, behind the last of them.
class FinishJob final : public PoolJob {
 public:
  FinishJob(Indexer* indexer, bool misused)
      : PoolJob(&indexer->hashes_, &indexer->aborted_),
        indexer_(indexer),
        misused_(misused) {}

 private:
  Status Execute(const std::atomic<bool>* /*aborted*/) override {
    if (misused_) return Status::At(Code::kMisuse, 0);
    // Whatever comes of it, this indexer has done its work.
    layer_ = std::move(indexer_->layer_);
    for (Indexer::Chunk& chunk : indexer_->chunks_) chunk.memory = JobMemory();
    return layer_->Finish();
  }

  void Executed(napi_env env, Status /*status*/) override {
    indexer_->HoldScans(env);  // no longer, if this was among the hashes
    if (layer_ != nullptr) indexer_->ReportMemory(env, 0);
  }

  napi_value Result(napi_env env, Status* /*status*/) override {
    const GrowableBuffer& digests = layer_->span_digests();
    const uint8_t* diff_id = layer_->diff_id();
    napi_value result = nullptr;
    if (napi_create_object(env, &result) != napi_ok ||
        !SetProperty(env, result, "compressedSize",
                     MakeNumber(env, layer_->compressed_size())) ||
        !SetProperty(env, result, "uncompressedSize",
                     MakeNumber(env, layer_->uncompressed_size())) ||
        !SetProperty(env, result, "tarEnd",
                     MakeNumber(env, layer_->tar_end())) ||
        !SetProperty(
            env, result, "layerDigest",
            MakeBytes(env, layer_->layer_digest(), Sha256::kDigestSize)) ||
        !SetProperty(env, result, "diffId",
                     diff_id == nullptr
                         ? MakeUndefined(env)
                         : MakeBytes(env, diff_id, Sha256::kDigestSize)) ||
        !SetProperty(env, result, "spanDigests",
                     MakeBytes(env, digests.data(), digests.size())) ||
        !SetProperty(env, result, "zinfo", MakeZinfo(env))) {
      return nullptr;
    }
    return result;
  }

  napi_value MakeZinfo(napi_env env) {
    const CheckpointList& checkpoints = layer_->checkpoints();
    if (checkpoints.size() == 0) return MakeUndefined(env);
    constexpr auto kVersion = CheckpointList::Version::kV2;
    Bytes blob;
    napi_value array =
        MakeEmptyBytes(env, checkpoints.BlobSize(kVersion), &blob);
    if (array != nullptr) checkpoints.Serialize(kVersion, blob.data);
    return array;
  }

  Indexer* indexer_;
  bool misused_;
  std::unique_ptr<LayerIndexer> layer_;
};

napi_value Indexer::Define(napi_env env) {
  const napi_property_descriptor methods[] = {
      Method("push", Push),
      Method("run", Run),
      Method("finish", Finish),
      Method("abort", Abort),
  };
  return DefineClass(env, "Indexer", New, methods);
}

napi_value Indexer::New(napi_env env, napi_callback_info info) {
  Call<1> call;
  if (!call.Read(env, info)) return nullptr;
  std::unique_ptr<Indexer> indexer(new (std::nothrow) Indexer);
  if (indexer == nullptr) {
    return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  }
  LayerIndexer::Options options;
  if (!indexer->ReadOptions(env, call.args[0], &options)) return nullptr;
  indexer->layer_.reset(new (std::nothrow) LayerIndexer);
  const Status status = indexer->layer_ == nullptr
                            ? Status::At(Code::kNoMemory, 0)
                            : indexer->layer_->Init(options);
  if (!status.ok()) return ThrowStatus(env, status);
  Indexer* wrapped = indexer.get();
  if (!Wrap(env, info, call.self, std::move(indexer))) return nullptr;
  wrapped->ReportMemory(env, 0);
  return call.self;
}

napi_value Indexer::Push(napi_env env, napi_callback_info info) {
  Call<1> call;
  Bytes bytes;
  if (!call.Read(env, info)) return nullptr;
  Indexer* indexer = Unwrap<Indexer>(env, call.self);
  if (indexer == nullptr || !ReadBytes(env, call.args[0], "chunk", &bytes)) {
    return nullptr;
  }
  if (indexer->aborted_.load(std::memory_order_relaxed)) {
    return ThrowStatus(env, Status::At(Code::kAborted, 0));
  }
  if (indexer->finishing_) {
    return ThrowStatus(env, Status::At(Code::kMisuse, 0));
  }
  if (indexer->hash_lost_) {
    return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  }
  if (bytes.size == 0 ||
      indexer->pushed_ - indexer->scanned_ >= kMaxUnscanned ||
      indexer->pushed_ - indexer->hashed_ >= kChunks) {
    return MakeNumber(env, 0);
  }
  Chunk* chunk = &indexer->chunks_[indexer->pushed_ % kChunks];
  chunk->size = std::min(bytes.size, kMaxJobInput);
  chunk->scanned = 0;
  if (!chunk->memory.Reserve(chunk->size)) {
    return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  }
  memcpy(chunk->memory.data(), bytes.data, chunk->size);
  indexer->pushed_.fetch_add(1, std::memory_order_release);
  return MakeNumber(env, chunk->size);
}

napi_value Indexer::Run(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Read(env, info)) return nullptr;
  Indexer* indexer = Unwrap<Indexer>(env, call.self);
  if (indexer == nullptr) return nullptr;
  return PoolJob::Queue(env, NewJob<ScanJob>(indexer), {call.self});
}

napi_value Indexer::Finish(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Read(env, info)) return nullptr;
  Indexer* indexer = Unwrap<Indexer>(env, call.self);
  if (indexer == nullptr) return nullptr;
  if (indexer->hash_lost_) {
    return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  }
  const bool misused = indexer->finishing_ || !indexer->idle();
  if (!misused) indexer->finishing_ = true;
  return PoolJob::Queue(env, NewJob<FinishJob>(indexer, misused), {call.self});
}

napi_value Indexer::Abort(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Read(env, info)) return nullptr;
  Indexer* indexer = Unwrap<Indexer>(env, call.self);
  if (indexer == nullptr) return nullptr;
  indexer->aborted_.store(true, std::memory_order_relaxed);
  indexer->scans_.Abort(env);
  indexer->hashes_.Abort(env);
  return nullptr;
}

bool Indexer::ReadOptions(napi_env env, napi_value object,
                          LayerIndexer::Options* options) {
  napi_value value = nullptr;
  bool gzip = false;
  if (!ReadProperty(env, object, "gzip", &value) ||
      !ReadBool(env, value, "gzip", &gzip) ||
      !ReadProperty(env, object, "spanSize", &value) ||
      !ReadOffset(env, value, "spanSize", &options->span_size) ||
      !ReadProperty(env, object, "diffId", &value) ||
      !ReadBool(env, value, "diffId", &options->diff_id) ||
      !ReadProperty(env, object, "engine", &value) ||
      !ReadEngine(env, value, &options->engine) ||
      !ReadProperty(env, object, "maxCheckpoints", &value) ||
      !ReadOffset(env, value, "maxCheckpoints", &options->max_checkpoints) ||
      !ReadProperty(env, object, "impliedFirstCheckpoint", &value) ||
      !ReadBool(env, value, "impliedFirstCheckpoint",
                &options->expected_first_implied) ||
      !ReadProperty(env, object, "checkpointsAt", &value)) {
    return false;
  }
  options->compression = gzip ? Compression::kGzip : Compression::kUncompressed;
  if (IsUndefined(env, value)) return true;
  if (!ReadExpected(env, value)) return false;
  options->expected = expected_.get();
  options->expected_count = expected_count_;
  return true;
}

bool Indexer::ReadExpected(napi_env env, napi_value rows) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, rows, &type, &length, &data, nullptr,
                               nullptr) != napi_ok ||
      type != napi_float64_array || length % 3 != 0 || length == 0) {
    return Throw(env, "expected a Float64Array of rows for checkpointsAt");
  }
  expected_count_ = length / 3;
  expected_.reset(new (std::nothrow) CheckpointPosition[expected_count_]);
  if (expected_ == nullptr) {
    ThrowStatus(env, Status::At(Code::kNoMemory, 0));
    return false;
  }
  const auto* row = static_cast<const double*>(data);
  for (size_t i = 0; i < expected_count_; i++, row += 3) {
    if (!IsOffset(row[0]) || !IsOffset(row[1]) || !IsOffset(row[2]) ||
        row[2] > 7) {
      return Throw(env, "expected offsets and bits for checkpointsAt");
    }
    expected_[i] = {static_cast<uint64_t>(row[0]),
                    static_cast<uint64_t>(row[1]),
                    static_cast<uint8_t>(row[2])};
  }
  return true;
}

// This bounds the chunks that wait to be hashed: at most two scans that script
// asked for before follow.
void Indexer::HoldScans(napi_env env) {
  scans_.Hold(env, hashes_.size() >= kMaxUnhashed);
}

void Indexer::ReportMemory(napi_env env, uint64_t checkpoints) {
  // Output window and inflate state, roughly; the checkpoints are what grows.
  constexpr uint64_t kFixed = 256 << 10;
  uint64_t bytes = 0;
  for (const Chunk& chunk : chunks_) bytes += chunk.memory.capacity();
  if (layer_ != nullptr) {
    bytes += kFixed + checkpoints * uint64_t{CheckpointList::kRecordSize};
  }
  memory_.Set(env, bytes);
}

}  // namespace soci::addon
