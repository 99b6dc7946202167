#include "addon/indexer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "addon/values.h"
#include "addon/wrapped.h"

namespace soci::addon {

class FeedJob final : public PoolJob {
 public:
  FeedJob(Indexer* indexer, const uint8_t* chunk, size_t size)
      : PoolJob(&indexer->slot_),
        indexer_(indexer),
        chunk_(chunk),
        size_(size) {}

 private:
  Status Execute(const std::atomic<bool>* aborted) override {
    if (indexer_->layer_ == nullptr) return Status::At(Code::kMisuse, 0);
    return indexer_->layer_->Feed(chunk_, size_, kMaxJobOutput, aborted,
                                  &consumed_);
  }

  void Executed(napi_env env) override { indexer_->ReportMemory(env); }

  napi_value Result(napi_env env, Status* /*status*/) override {
    LayerIndexer* layer = indexer_->layer_.get();
    const GrowableBuffer& records = layer->headers();
    napi_value headers = records.size() == 0
                             ? MakeUndefined(env)
                             : MakeBytes(env, records.data(), records.size());
    layer->ClearHeaders();
    napi_value result = nullptr;
    if (napi_create_object(env, &result) != napi_ok ||
        !SetProperty(env, result, "consumed", MakeNumber(env, consumed_)) ||
        !SetProperty(env, result, "produced",
                     MakeNumber(env, layer->uncompressed_size())) ||
        !SetProperty(env, result, "headers", headers)) {
      return nullptr;
    }
    return result;
  }

  Indexer* indexer_;
  const uint8_t* chunk_;
  size_t size_;
  size_t consumed_ = 0;
};

class FinishJob final : public PoolJob {
 public:
  explicit FinishJob(Indexer* indexer)
      : PoolJob(&indexer->slot_), indexer_(indexer) {}

 private:
  Status Execute(const std::atomic<bool>* /*aborted*/) override {
    if (indexer_->layer_ == nullptr) return Status::At(Code::kMisuse, 0);
    // Whatever comes of it, this indexer has done its work.
    layer_ = std::move(indexer_->layer_);
    return layer_->Finish();
  }

  void Executed(napi_env env) override { indexer_->ReportMemory(env); }

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
  std::unique_ptr<LayerIndexer> layer_;
};

napi_value Indexer::Define(napi_env env) {
  const napi_property_descriptor methods[] = {
      Method("feed", Feed),     Method("feedSync", FeedSync),
      Method("finish", Finish), Method("finishSync", FinishSync),
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
  wrapped->ReportMemory(env);
  return call.self;
}

napi_value Indexer::Feed(napi_env env, napi_callback_info info) {
  Call<1> call;
  Bytes chunk;
  if (!call.Read(env, info)) return nullptr;
  Indexer* indexer = Unwrap<Indexer>(env, call.self);
  if (indexer == nullptr || !ReadBytes(env, call.args[0], "chunk", &chunk)) {
    return nullptr;
  }
  const size_t size = std::min(chunk.size, kMaxJobInput);
  // A busy indexer's memory belongs to the call under way.
  if (!indexer->slot_.busy()) {
    if (!indexer->chunk_.Reserve(size)) {
      return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
    }
    if (size != 0) memcpy(indexer->chunk_.data(), chunk.data, size);
  }
  return PoolJob::Queue(
      env, NewJob<FeedJob>(indexer, indexer->chunk_.data(), size), {call.self});
}

napi_value Indexer::FeedSync(napi_env env, napi_callback_info info) {
  Call<1> call;
  Bytes chunk;
  if (!call.Read(env, info)) return nullptr;
  Indexer* indexer = Unwrap<Indexer>(env, call.self);
  if (indexer == nullptr || !ReadBytes(env, call.args[0], "chunk", &chunk)) {
    return nullptr;
  }
  return PoolJob::RunNow(
      env,
      NewJob<FeedJob>(indexer, chunk.data, std::min(chunk.size, kMaxJobInput)));
}

napi_value Indexer::Finish(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Read(env, info)) return nullptr;
  Indexer* indexer = Unwrap<Indexer>(env, call.self);
  if (indexer == nullptr) return nullptr;
  return PoolJob::Queue(env, NewJob<FinishJob>(indexer), {call.self});
}

napi_value Indexer::FinishSync(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Read(env, info)) return nullptr;
  Indexer* indexer = Unwrap<Indexer>(env, call.self);
  if (indexer == nullptr) return nullptr;
  return PoolJob::RunNow(env, NewJob<FinishJob>(indexer));
}

napi_value Indexer::Abort(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Read(env, info)) return nullptr;
  Indexer* indexer = Unwrap<Indexer>(env, call.self);
  if (indexer != nullptr) indexer->slot_.Abort(env);
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

void Indexer::ReportMemory(napi_env env) {
  // Output window and inflate state, roughly; the checkpoints are what grows.
  constexpr uint64_t kFixed = 256 << 10;
  uint64_t bytes = chunk_.capacity();
  if (layer_ != nullptr) {
    bytes += kFixed + layer_->checkpoints().size() *
                          uint64_t{CheckpointList::kRecordSize};
  }
  memory_.Set(env, bytes);
}

}  // namespace soci::addon
