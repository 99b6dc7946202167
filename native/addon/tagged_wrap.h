// Napi::ObjectWrap for classes whose methods refuse foreign receivers. By
// itself it hands a method whatever its receiver wraps, so a method of one
// class called on an object of another would read foreign memory. Here every
// object bears its class's type tag, and methods are entered through a check of
// it. The tag is an address inside this copy of the addon: objects of another
// copy in the same process, maybe another version, are foreign too.
#pragma once

#include <napi.h>

#include <cstdint>

namespace soci::addon {

template <class T>
class TaggedWrap : public Napi::ObjectWrap<T> {
 public:
  // nullptr with a TypeError pending unless `value` wraps a T.
  static T* From(Napi::Env env, Napi::Value value) {
    if (value.IsObject()) {
      const auto object = value.As<Napi::Object>();
      if (object.CheckTypeTag(Tag())) return TaggedWrap::Unwrap(object);
    }
    Napi::TypeError::New(env, "Illegal invocation")
        .ThrowAsJavaScriptException();
    return nullptr;
  }

 protected:
  explicit TaggedWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<T>(info) {
    if (info.Env().IsExceptionPending()) return;
    info.This().As<Napi::Object>().TypeTag(Tag());
  }

  using Method = Napi::Value (T::*)(const Napi::CallbackInfo&);
  template <Method kMethod>
  static Napi::ClassPropertyDescriptor<T> Checked(const char* name) {
    napi_property_descriptor descriptor = {};
    descriptor.utf8name = name;
    descriptor.method = Enter<kMethod>;
    descriptor.attributes = napi_default_method;
    return descriptor;
  }

 private:
  template <Method kMethod>
  static napi_value Enter(napi_env env, napi_callback_info raw) {
    const Napi::CallbackInfo info(env, raw);
    T* const object = From(env, info.This());
    return object == nullptr ? napi_value{} : (object->*kMethod)(info);
  }

  static const napi_type_tag* Tag() {
    static const char marker = 0;
    static const napi_type_tag tag = {reinterpret_cast<uintptr_t>(&marker),
                                      0x5345454b4f434931};
    return &tag;
  }
};

}  // namespace soci::addon
