// C++ objects behind JavaScript ones. Every class is marked with a type tag,
// so that a method called on anything else throws instead of reading foreign
// memory. The tag is an address inside this copy of the addon: objects of
// another copy in the same process, maybe another version, are foreign too.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "addon/values.h"

namespace soci::addon {

// Receiver and arguments of a call; missing arguments are undefined.
template <size_t kCount>
struct Call {
  napi_value self = nullptr;
  napi_value args[kCount == 0 ? 1 : kCount] = {};

  bool Read(napi_env env, napi_callback_info info) {
    size_t count = kCount;
    return napi_get_cb_info(env, info, &count, args, &self, nullptr) == napi_ok;
  }
};

inline napi_property_descriptor Method(const char* name,
                                       napi_callback callback) {
  return {
      name,   nullptr, callback, nullptr, nullptr, nullptr, napi_default_method,
      nullptr};
}

// nullptr if Node-API refuses.
template <size_t kCount>
napi_value DefineClass(napi_env env, const char* name,
                       napi_callback constructor,
                       const napi_property_descriptor (&methods)[kCount]) {
  napi_value result = nullptr;
  napi_define_class(env, name, NAPI_AUTO_LENGTH, constructor, nullptr, kCount,
                    methods, &result);
  return result;
}

template <class T>
const napi_type_tag* TypeTag() {
  static const char marker = 0;
  static const napi_type_tag tag = {reinterpret_cast<uintptr_t>(&marker),
                                    0x5345454b4f434931};
  return &tag;
}

// nullptr with a TypeError pending unless `value` wraps a T.
template <class T>
T* Unwrap(napi_env env, napi_value value) {
  bool matches = false;
  void* object = nullptr;
  if (napi_check_object_type_tag(env, value, TypeTag<T>(), &matches) !=
          napi_ok ||
      !matches || napi_unwrap(env, value, &object) != napi_ok) {
    Throw(env, "Illegal invocation");
    return nullptr;
  }
  return static_cast<T*>(object);
}

// Ties `object` to `self`, the receiver of a constructor; T::Detach(env) is
// called before the object is deleted. False with an exception pending.
template <class T>
bool Wrap(napi_env env, napi_callback_info info, napi_value self,
          std::unique_ptr<T> object) {
  napi_value new_target = nullptr;
  if (napi_get_new_target(env, info, &new_target) != napi_ok ||
      new_target == nullptr) {
    return Throw(env, "a constructor needs 'new'");
  }
  auto finalize = [](napi_env finalize_env, void* data, void*) {
    auto* finalized = static_cast<T*>(data);
    finalized->Detach(finalize_env);
    delete finalized;
  };
  if (napi_wrap(env, self, object.get(), finalize, nullptr, nullptr) !=
      napi_ok) {
    return Throw(env, "Illegal invocation");
  }
  object.release();
  if (napi_type_tag_object(env, self, TypeTag<T>()) != napi_ok) {
    return Throw(env, "Illegal invocation");
  }
  return true;
}

}  // namespace soci::addon
