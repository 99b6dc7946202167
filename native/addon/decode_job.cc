#include "addon/decode_job.h"

#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "addon/abort_flag.h"
#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/failure.h"
#include "addon/pool_job.h"
#include "addon/span_options.h"
#include "core/sha256.h"
#include "core/span_decoder.h"

namespace soci::addon {
namespace {

// The properties of a job, pointing into JavaScript arrays.
struct SpanArguments {
  SpanDecoder::Options options;
  Bytes input;
  Bytes output;
  Bytes digest;
  uint64_t digest_offset = 0;
  Napi::Value output_array;

  // May leave an exception pending.
  void Read(Napi::Value job, Arguments* read) {
    // Every property first, every pointer after: see span_options.h.
    const SpanOptions properties(job, read);
    const Napi::Value input_array = read->Property(job, "input");
    output_array = read->Property(job, "output");
    const Napi::Value digest_array = read->Property(job, "digest");
    const Napi::Value offset = read->Property(job, "digestOffset");
    options = properties.Read(read);
    input = read->ReadBytes(input_array, "input");
    output = read->ReadBytes(output_array, "output");
    digest = read->ReadOptionalBytes(digest_array, "digest");
    digest_offset = read->ReadOffset(offset, "digestOffset");
    if (digest.data != nullptr && digest.size != Sha256::kDigestSize) {
      read->Refuse("expected 32 bytes for digest");
    }
    if (digest_offset > input.size) {
      read->Refuse("expected digestOffset within input");
    }
  }
};

class DecodeSpanJob final : public PoolJob {
 public:
  DecodeSpanJob(JobQueue* queue, JobSlot* slot, const SpanArguments& arguments)
      : PoolJob(queue, slot),
        options_(arguments.options),
        input_(arguments.input),
        output_(arguments.output),
        digest_offset_(static_cast<size_t>(arguments.digest_offset)),
        checked_(arguments.digest.data != nullptr) {
    if (checked_) memcpy(digest_, arguments.digest.data, sizeof digest_);
  }

  // Moves everything that is read to memory of the job's own.
  bool OwnInputs() {
    const size_t window = options_.window == nullptr ? 0 : kWindowSize;
    if (!memory_.Reserve(input_.size + window)) return false;
    memcpy(memory_.data(), input_.data, input_.size);
    input_.data = memory_.data();
    if (window != 0) {
      uint8_t* copy = memory_.data() + input_.size;
      memcpy(copy, options_.window, window);
      options_.window = copy;
    }
    return true;
  }

 private:
  Status Execute(const std::atomic<bool>* aborted) override {
    if (checked_) {
      Sha256 hash;
      uint8_t found[Sha256::kDigestSize];
      hash.Update(input_.data + digest_offset_, input_.size - digest_offset_);
      hash.Final(found);
      if (memcmp(found, digest_, sizeof found) != 0) {
        return Status::At(Code::kDigest, digest_offset_);
      }
    }
    return soci::DecodeSpan(options_, input_.data, input_.size, output_.data,
                            output_.size, aborted);
  }

  napi_value Result(napi_env env, Status* /*status*/) override {
    napi_value undefined = nullptr;
    napi_get_undefined(env, &undefined);
    return undefined;
  }

  SpanDecoder::Options options_;
  Bytes input_;
  Bytes output_;
  size_t digest_offset_;
  bool checked_;
  uint8_t digest_[Sha256::kDigestSize];
  JobMemory memory_;
};

}  // namespace

Napi::Value DecodeSpan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  JobSlot* slot = nullptr;
  Napi::Value flag;
  if (!info[1].IsUndefined()) {
    flag = info[1];
    AbortFlag* const object = AbortFlag::From(env, flag);
    if (object == nullptr) return {};
    slot = object->slot();
  }
  Arguments read(env);
  SpanArguments arguments;
  arguments.Read(info[0], &read);
  if (!read.ok()) return {};
  std::unique_ptr<DecodeSpanJob> job(new (std::nothrow) DecodeSpanJob(
      Environment::Of(env)->decodes(), slot, arguments));
  if (job == nullptr || !job->OwnInputs()) {
    return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  }
  return {env,
          PoolJob::Queue(env, std::move(job), {arguments.output_array, flag})};
}

Napi::Value SetDecodeConcurrency(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  const uint64_t threads = read.ReadOffset(info[0], "threads");
  if (threads == 0) read.Refuse("expected a thread at least");
  if (read.ok()) Environment::Of(env)->decodes()->set_width(env, threads);
  return env.Undefined();
}

}  // namespace soci::addon
