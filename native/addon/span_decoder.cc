#include "addon/span_decoder.h"

#include <algorithm>
#include <cstring>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/failure.h"
#include "addon/run_job.h"
#include "addon/span_options.h"

namespace soci::addon {

Napi::Function SpanDecoderObject::Define(Napi::Env env) {
  return DefineClass(env, "SpanDecoder",
                     {
                         Checked<&SpanDecoderObject::Run>("run"),
                         Checked<&SpanDecoderObject::Abort>("abort"),
                     });
}

SpanDecoderObject::SpanDecoderObject(const Napi::CallbackInfo& info)
    : TaggedWrap(info) {
  const Napi::Env env = info.Env();
  if (env.IsExceptionPending()) return;
  Arguments read(env);
  const SpanOptions properties(info[0], &read);
  const SpanDecoder::Options options = properties.Read(&read);
  if (!read.ok()) return;
  const Status status = decoder_.Start(options);
  if (!status.ok()) {
    ThrowStatus(env, status);
    return;
  }
  ReportMemory(env);
}

Napi::Value SpanDecoderObject::Run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  RunJob::Piece piece;
  piece.input = read.ReadBytes(info[0], "input");
  piece.output = read.ReadBytes(info[1], "output");
  piece.skip = read.ReadOffset(info[2], "skip");
  if (!read.ok()) return {};
  piece.LimitToOneJob();
  // A busy decoder's memory belongs to the call under way.
  if (!slot_.busy()) {
    if (!input_.Reserve(piece.input.size) ||
        !output_.Reserve(piece.output.size)) {
      return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
    }
    memcpy(input_.data(), piece.input.data, piece.input.size);
  }
  piece.input.data = input_.data();
  piece.output.data = output_.data();
  return {env,
          PoolJob::Queue(
              env, NewJob<RunJob>(Environment::Of(env)->decodes(), this, piece),
              {info.This(), info[1]})};
}

Napi::Value SpanDecoderObject::Abort(const Napi::CallbackInfo& info) {
  slot_.Abort(info.Env());
  return info.Env().Undefined();
}

void SpanDecoderObject::ReportMemory(napi_env env) {
  constexpr uint64_t kFixed = 128 << 10;  // window, scratch, inflate state
  memory_.Set(env, kFixed + input_.capacity() + output_.capacity());
}

}  // namespace soci::addon
