#include "addon/posix.h"

#include <cerrno>

namespace soci::addon::posix {

Napi::Value ResultOf(Napi::Env env, int64_t result) {
  return Napi::Number::New(env,
                           static_cast<double>(result < 0 ? -errno : result));
}

int ReadDescriptor(Napi::Value value) {
  return value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1;
}

Napi::Object Define(Napi::Env env) {
  Napi::Object exports = Napi::Object::New(env);
  const auto set = [&](const char* name, Napi::Function function) {
    exports.Set(name, function);
  };
  set("openat2", Napi::Function::New<OpenAt2>(env, "openat2"));
  set("lock", Napi::Function::New<Lock>(env, "lock"));
  set("findLock", Napi::Function::New<FindLock>(env, "findLock"));
  set("socketPair", Napi::Function::New<SocketPair>(env, "socketPair"));
  set("sendDescriptors",
      Napi::Function::New<SendDescriptors>(env, "sendDescriptors"));
  set("receiveDescriptors",
      Napi::Function::New<ReceiveDescriptors>(env, "receiveDescriptors"));
  set("sendDatagram", Napi::Function::New<SendDatagram>(env, "sendDatagram"));
  set("map", Napi::Function::New<Map>(env, "map"));
  set("unmap", Napi::Function::New<Unmap>(env, "unmap"));
  return exports;
}

}  // namespace soci::addon::posix
