// The JavaScript class SpanDecoder over the core's: decodes one span piece by
// piece, each piece a bounded job. One call at a time.
#pragma once

#include "addon/external_memory.h"
#include "addon/job_memory.h"
#include "addon/pool_job.h"
#include "addon/tagged_wrap.h"
#include "core/span_decoder.h"

namespace soci::addon {

class SpanDecoderObject final : public TaggedWrap<SpanDecoderObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  // May leave an exception pending.
  explicit SpanDecoderObject(const Napi::CallbackInfo& info);

  void Finalize(Napi::BasicEnv env) override { memory_.Set(env, 0); }

 private:
  friend class RunJob;

  Napi::Value Run(const Napi::CallbackInfo& info);
  Napi::Value Abort(const Napi::CallbackInfo& info);

  void ReportMemory(napi_env env);

  JobSlot slot_;
  JobMemory input_;
  JobMemory output_;
  SpanDecoder decoder_;
  ExternalMemory memory_;
};

}  // namespace soci::addon
