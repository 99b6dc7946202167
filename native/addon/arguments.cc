#include "addon/arguments.h"

#include <cmath>
#include <cstdio>
#include <string>

namespace soci::addon {

void Arguments::Refuse(const char* message) {
  if (!ok_) return;
  ok_ = false;
  if (env_.IsExceptionPending()) return;
  Napi::TypeError error = Napi::TypeError::New(env_, message);
  error.Set("code", "MISUSE");
  error.ThrowAsJavaScriptException();
}

void Arguments::Expected(const char* what, const char* name) {
  char message[128];
  snprintf(message, sizeof message, "expected %s for %s", what, name);
  Refuse(message);
}

Napi::Value Arguments::Property(Napi::Value object, const char* name) {
  if (!ok_) return env_.Undefined();
  if (!object.IsObject()) {
    Expected("an object that has", name);
    return env_.Undefined();
  }
  const Napi::Value value = object.As<Napi::Object>().Get(name);
  if (!value.IsEmpty()) return value;
  Expected("an object that has", name);  // or a getter has thrown
  return env_.Undefined();
}

Bytes Arguments::ReadBytes(Napi::Value value, const char* name) {
  if (!ok_) return {};
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    Expected("a Uint8Array", name);
    return {};
  }
  static uint8_t nothing = 0;
  auto array = value.As<Napi::Uint8Array>();
  if (array.Data() == nullptr) return {&nothing, 0};
  return {array.Data(), array.ElementLength()};
}

Bytes Arguments::ReadOptionalBytes(Napi::Value value, const char* name) {
  return value.IsUndefined() ? Bytes{} : ReadBytes(value, name);
}

bool Arguments::IsOffset(double number) {
  constexpr double kMaxSafeInteger = 9007199254740991.0;
  return number >= 0 && number <= kMaxSafeInteger &&
         std::trunc(number) == number;
}

uint64_t Arguments::ReadOffset(Napi::Value value, const char* name) {
  if (!ok_) return 0;
  const double number =
      value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (IsOffset(number)) return static_cast<uint64_t>(number);
  Expected("an integer of 0 to 2^53-1", name);
  return 0;
}

bool Arguments::ReadBool(Napi::Value value, const char* name) {
  if (!ok_) return false;
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  Expected("a boolean", name);
  return false;
}

uint64_t Arguments::ReadUint64(Napi::Value value, const char* name) {
  if (!ok_) return 0;
  bool fits = false;
  const uint64_t number =
      value.IsBigInt() ? value.As<Napi::BigInt>().Uint64Value(&fits) : 0;
  if (!fits) Expected("a bigint of 0 to 2^64-1", name);
  return number;
}

int64_t Arguments::ReadInt64(Napi::Value value, const char* name) {
  if (!ok_) return 0;
  bool fits = false;
  const int64_t number =
      value.IsBigInt() ? value.As<Napi::BigInt>().Int64Value(&fits) : 0;
  if (!fits) Expected("a bigint of -2^63 to 2^63-1", name);
  return number;
}

Engine Arguments::ReadEngine(Napi::Value value) {
  if (!ok_) return Engine::kFast;
  const std::string name =
      value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
  if (name == "zlib") return Engine::kZlib;
  if (name != "fast") Expected("'zlib' or 'fast'", "engine");
  return Engine::kFast;
}

}  // namespace soci::addon
