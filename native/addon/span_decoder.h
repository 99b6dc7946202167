// The JavaScript class SpanDecoder over the core's: decodes one span piece by
// piece, each piece a bounded job. One call at a time.
#pragma once

#include <node_api.h>

#include "addon/external_memory.h"
#include "addon/pool_job.h"
#include "core/span_decoder.h"

namespace soci::addon {

class SpanDecoderObject {
 public:
  static napi_value Define(napi_env env);

  void Detach(napi_env env) { memory_.Set(env, 0); }

 private:
  friend class RunJob;

  static napi_value New(napi_env env, napi_callback_info info);
  static napi_value Run(napi_env env, napi_callback_info info);
  static napi_value Abort(napi_env env, napi_callback_info info);

  void ReportMemory(napi_env env);

  JobSlot slot_;
  JobMemory input_;
  JobMemory output_;
  SpanDecoder decoder_;
  ExternalMemory memory_;
};

}  // namespace soci::addon
