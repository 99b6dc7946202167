#include "addon/abort_flag.h"

#include <memory>
#include <new>
#include <utility>

#include "addon/values.h"
#include "addon/wrapped.h"

namespace soci::addon {

napi_value AbortFlag::Define(napi_env env) {
  const napi_property_descriptor methods[] = {
      Method("abort", Abort),
  };
  return DefineClass(env, "AbortFlag", New, methods);
}

napi_value AbortFlag::New(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Read(env, info)) return nullptr;
  std::unique_ptr<AbortFlag> flag(new (std::nothrow) AbortFlag);
  if (flag == nullptr) return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  return Wrap(env, info, call.self, std::move(flag)) ? call.self : nullptr;
}

napi_value AbortFlag::Abort(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Read(env, info)) return nullptr;
  AbortFlag* flag = Unwrap<AbortFlag>(env, call.self);
  if (flag != nullptr) flag->slot_.Abort(env);
  return nullptr;
}

}  // namespace soci::addon
