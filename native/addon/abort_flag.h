// The JavaScript class AbortFlag: what decodeSpan takes to be abortable. It
// serves one job.
#pragma once

#include <node_api.h>

#include "addon/pool_job.h"

namespace soci::addon {

class AbortFlag {
 public:
  static napi_value Define(napi_env env);

  JobSlot* slot() { return &slot_; }
  void Detach(napi_env /*env*/) {}

 private:
  static napi_value New(napi_env env, napi_callback_info info);
  static napi_value Abort(napi_env env, napi_callback_info info);

  JobSlot slot_;
};

}  // namespace soci::addon
