// The JavaScript class AbortFlag: what decodeSpan takes to be abortable. It
// serves one job.
#pragma once

#include "addon/pool_job.h"
#include "addon/tagged_wrap.h"

namespace soci::addon {

class AbortFlag final : public TaggedWrap<AbortFlag> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit AbortFlag(const Napi::CallbackInfo& info) : TaggedWrap(info) {}

  JobSlot* slot() { return &slot_; }

 private:
  Napi::Value Abort(const Napi::CallbackInfo& info);

  JobSlot slot_;
};

}  // namespace soci::addon
