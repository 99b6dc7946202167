#include "addon/decode_span.h"

#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "addon/abort_flag.h"
#include "addon/environment.h"
#include "addon/pool_job.h"
#include "addon/span_options.h"
#include "addon/values.h"
#include "addon/wrapped.h"
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
  napi_value output_array = nullptr;

  bool Read(napi_env env, napi_value job) {
    napi_value value = nullptr;
    // Every property first, every pointer after: a getter is script, and could
    // detach an array that was read before it ran.
    napi_value input_array = nullptr;
    napi_value digest_array = nullptr;
    if (!ReadProperty(env, job, "input", &input_array) ||
        !ReadProperty(env, job, "output", &output_array) ||
        !ReadProperty(env, job, "digest", &digest_array) ||
        !ReadProperty(env, job, "digestOffset", &value) ||
        !ReadOffset(env, value, "digestOffset", &digest_offset) ||
        !ReadSpanOptions(env, job, &options) ||
        !ReadBytes(env, input_array, "input", &input) ||
        !ReadBytes(env, output_array, "output", &output) ||
        !ReadOptionalBytes(env, digest_array, "digest", &digest)) {
      return false;
    }
    if (digest.data != nullptr && digest.size != Sha256::kDigestSize) {
      return Throw(env, "expected 32 bytes for digest");
    }
    return digest_offset <= input.size ||
           Throw(env, "expected digestOffset within input");
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
    return DecodeSpan(options_, input_.data, input_.size, output_.data,
                      output_.size, aborted);
  }

  napi_value Result(napi_env env, Status* /*status*/) override {
    return MakeUndefined(env);
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

napi_value DecodeSpanAsync(napi_env env, napi_callback_info info) {
  Call<2> call;
  SpanArguments arguments;
  JobSlot* slot = nullptr;
  if (!call.Read(env, info)) return nullptr;
  if (!IsUndefined(env, call.args[1])) {
    AbortFlag* flag = Unwrap<AbortFlag>(env, call.args[1]);
    if (flag == nullptr) return nullptr;
    slot = flag->slot();
  }
  if (!arguments.Read(env, call.args[0])) return nullptr;
  std::unique_ptr<DecodeSpanJob> job(new (std::nothrow) DecodeSpanJob(
      Environment::Of(env)->decodes(), slot, arguments));
  if (job == nullptr || !job->OwnInputs()) {
    return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  }
  if (slot == nullptr) {
    return PoolJob::Queue(env, std::move(job), {arguments.output_array});
  }
  return PoolJob::Queue(env, std::move(job),
                        {arguments.output_array, call.args[1]});
}

napi_value SetDecodeConcurrency(napi_env env, napi_callback_info info) {
  Call<1> call;
  uint64_t threads = 0;
  if (!call.Read(env, info) ||
      !ReadOffset(env, call.args[0], "threads", &threads)) {
    return nullptr;
  }
  if (threads == 0) {
    Throw(env, "expected a thread at least");
    return nullptr;
  }
  Environment::Of(env)->decodes()->set_width(env, threads);
  return nullptr;
}

}  // namespace soci::addon
