#include "addon/span_decoder.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "addon/environment.h"
#include "addon/span_options.h"
#include "addon/values.h"
#include "addon/wrapped.h"

namespace soci::addon {
namespace {

// The arguments of run: what one job takes of them.
struct Piece {
  Bytes input;
  Bytes output;
  uint64_t skip = 0;

  bool Read(napi_env env, const napi_value args[3]) {
    if (!ReadBytes(env, args[0], "input", &input) ||
        !ReadBytes(env, args[1], "output", &output) ||
        !ReadOffset(env, args[2], "skip", &skip)) {
      return false;
    }
    input.size = std::min(input.size, kMaxJobInput);
    // Skipped output is work like any other. What is to be discarded comes
    // first, so a job that cannot skip it all fills nothing.
    if (skip >= kMaxJobOutput) {
      output.size = 0;
      skip = kMaxJobOutput;
    }
    output.size = std::min<size_t>(output.size, kMaxJobOutput - skip);
    return true;
  }
};

}  // namespace

class RunJob final : public PoolJob {
 public:
  RunJob(JobQueue* queue, SpanDecoderObject* owner, const Piece& piece)
      : PoolJob(queue, &owner->slot_), owner_(owner), piece_(piece) {}

 private:
  Status Execute(const std::atomic<bool>* aborted) override {
    progress_ = owner_->decoder_.Run(piece_.input.data, piece_.input.size,
                                     piece_.output.data, piece_.output.size,
                                     piece_.skip, aborted);
    return progress_.status;
  }

  void Executed(napi_env env, Status /*status*/) override {
    owner_->ReportMemory(env);
  }

  napi_value Result(napi_env env, Status* status) override {
    napi_value array = Held(env, kOutput);
    if (array != nullptr) {
      Bytes output;
      // It was a Uint8Array, but may have shrunk or be gone by now.
      if (!ReadBytes(env, array, "output", &output) ||
          output.size < progress_.produced) {
        *status = Status::At(Code::kMisuse, 0);
        return nullptr;
      }
      memcpy(output.data, piece_.output.data, progress_.produced);
    }
    napi_value result = nullptr;
    if (napi_create_object(env, &result) != napi_ok ||
        !SetProperty(env, result, "consumed",
                     MakeNumber(env, progress_.consumed)) ||
        !SetProperty(env, result, "skipped",
                     MakeNumber(env, progress_.skipped)) ||
        !SetProperty(env, result, "produced",
                     MakeNumber(env, progress_.produced)) ||
        !SetProperty(env, result, "ended", MakeBool(env, progress_.ended))) {
      return nullptr;
    }
    return result;
  }

  static constexpr size_t kOutput = 1;  // among the held values

  SpanDecoderObject* owner_;
  Piece piece_;
  SpanDecoder::Progress progress_;
};

napi_value SpanDecoderObject::Define(napi_env env) {
  const napi_property_descriptor methods[] = {
      Method("run", Run),
      Method("abort", Abort),
  };
  return DefineClass(env, "SpanDecoder", New, methods);
}

napi_value SpanDecoderObject::New(napi_env env, napi_callback_info info) {
  Call<1> call;
  SpanDecoder::Options options;
  if (!call.Read(env, info) || !ReadSpanOptions(env, call.args[0], &options)) {
    return nullptr;
  }
  std::unique_ptr<SpanDecoderObject> object(new (std::nothrow)
                                                SpanDecoderObject);
  const Status status = object == nullptr ? Status::At(Code::kNoMemory, 0)
                                          : object->decoder_.Start(options);
  if (!status.ok()) return ThrowStatus(env, status);
  SpanDecoderObject* wrapped = object.get();
  if (!Wrap(env, info, call.self, std::move(object))) return nullptr;
  wrapped->ReportMemory(env);
  return call.self;
}

napi_value SpanDecoderObject::Run(napi_env env, napi_callback_info info) {
  Call<3> call;
  Piece piece;
  if (!call.Read(env, info)) return nullptr;
  auto* object = Unwrap<SpanDecoderObject>(env, call.self);
  if (object == nullptr || !piece.Read(env, call.args)) return nullptr;
  // A busy decoder's memory belongs to the call under way.
  if (!object->slot_.busy()) {
    if (!object->input_.Reserve(piece.input.size) ||
        !object->output_.Reserve(piece.output.size)) {
      return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
    }
    memcpy(object->input_.data(), piece.input.data, piece.input.size);
  }
  piece.input.data = object->input_.data();
  piece.output.data = object->output_.data();
  return PoolJob::Queue(
      env, NewJob<RunJob>(Environment::Of(env)->decodes(), object, piece),
      {call.self, call.args[1]});
}

napi_value SpanDecoderObject::Abort(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Read(env, info)) return nullptr;
  auto* object = Unwrap<SpanDecoderObject>(env, call.self);
  if (object != nullptr) object->slot_.Abort(env);
  return nullptr;
}

void SpanDecoderObject::ReportMemory(napi_env env) {
  constexpr uint64_t kFixed = 128 << 10;  // window, scratch, inflate state
  memory_.Set(env, kFixed + input_.capacity() + output_.capacity());
}

}  // namespace soci::addon
