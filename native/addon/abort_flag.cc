#include "addon/abort_flag.h"

namespace soci::addon {

Napi::Function AbortFlag::Define(Napi::Env env) {
  return DefineClass(env, "AbortFlag",
                     {
                         Checked<&AbortFlag::Abort>("abort"),
                     });
}

Napi::Value AbortFlag::Abort(const Napi::CallbackInfo& info) {
  slot_.Abort(info.Env());
  return info.Env().Undefined();
}

}  // namespace soci::addon
