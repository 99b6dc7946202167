#include "addon/values.h"

#include <cmath>
#include <cstdio>
#include <cstring>

namespace soci::addon {
namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

bool ThrowExpected(napi_env env, const char* what, const char* name) {
  char message[128];
  snprintf(message, sizeof message, "expected %s for %s", what, name);
  return Throw(env, message);
}

// The names that lib/binding.ts maps to ERR_SOCI_… codes.
const char* CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kAborted:
      return "ABORTED";
    case Code::kGzipHeader:
      return "GZIP_HEADER";
    case Code::kGzipChecksum:
      return "GZIP_CHECKSUM";
    case Code::kDeflateData:
      return "DEFLATE_DATA";
    case Code::kTruncated:
      return "TRUNCATED";
    case Code::kTrailingData:
      return "TRAILING_DATA";
    case Code::kOutputLength:
      return "OUTPUT_LENGTH";
    case Code::kCheckpointBlob:
      return "CHECKPOINT_BLOB";
    case Code::kCheckpointMiss:
      return "CHECKPOINT_MISS";
    case Code::kTarHeader:
      return "TAR_HEADER";
    case Code::kLimit:
      return "LIMIT";
    case Code::kDigest:
      return "DIGEST";
    case Code::kNoMemory:
      return "NO_MEMORY";
    case Code::kMisuse:
      return "MISUSE";
  }
  return "MISUSE";
}

}  // namespace

bool Throw(napi_env env, const char* message) {
  napi_throw_type_error(env, "MISUSE", message);
  return false;
}

napi_value ThrowStatus(napi_env env, Status status) {
  napi_value error = MakeError(env, status);
  if (error != nullptr) napi_throw(env, error);
  return nullptr;
}

bool IsOffset(double number) {
  return number >= 0 && number <= kMaxSafeInteger &&
         std::trunc(number) == number;
}

bool ReadBytes(napi_env env, napi_value value, const char* name, Bytes* out) {
  bool is_typed_array = false;
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  if (napi_is_typedarray(env, value, &is_typed_array) != napi_ok ||
      !is_typed_array ||
      napi_get_typedarray_info(env, value, &type, &out->size, &data, nullptr,
                               nullptr) != napi_ok ||
      type != napi_uint8_array) {
    return ThrowExpected(env, "a Uint8Array", name);
  }
  static uint8_t nothing = 0;
  out->data = static_cast<uint8_t*>(data);
  if (out->data == nullptr) *out = {&nothing, 0};
  return true;
}

bool ReadOptionalBytes(napi_env env, napi_value value, const char* name,
                       Bytes* out) {
  *out = {};
  return IsUndefined(env, value) || ReadBytes(env, value, name, out);
}

bool ReadOffset(napi_env env, napi_value value, const char* name,
                uint64_t* out) {
  double number = -1;
  if (napi_get_value_double(env, value, &number) != napi_ok ||
      !IsOffset(number)) {
    return ThrowExpected(env, "an integer of 0 to 2^53-1", name);
  }
  *out = static_cast<uint64_t>(number);
  return true;
}

bool ReadBool(napi_env env, napi_value value, const char* name, bool* out) {
  return napi_get_value_bool(env, value, out) == napi_ok ||
         ThrowExpected(env, "a boolean", name);
}

bool ReadEngine(napi_env env, napi_value value, Engine* out) {
  char name[8] = {};
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, name, sizeof name, &length) ==
      napi_ok) {
    if (strcmp(name, "zlib") == 0) {
      *out = Engine::kZlib;
      return true;
    }
    if (strcmp(name, "fast") == 0) {
      *out = Engine::kFast;
      return true;
    }
  }
  return ThrowExpected(env, "'zlib' or 'fast'", "engine");
}

bool ReadProperty(napi_env env, napi_value object, const char* name,
                  napi_value* out) {
  // A getter may have thrown: then that exception stands.
  if (napi_get_named_property(env, object, name, out) == napi_ok) return true;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  return pending ? false : ThrowExpected(env, "an object that has", name);
}

bool IsUndefined(napi_env env, napi_value value) {
  napi_valuetype type = napi_object;
  return napi_typeof(env, value, &type) == napi_ok && type == napi_undefined;
}

napi_value MakeUndefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

napi_value MakeNumber(napi_env env, uint64_t value) {
  napi_value number = nullptr;
  napi_create_double(env, static_cast<double>(value), &number);
  return number;
}

napi_value MakeBool(napi_env env, bool value) {
  napi_value boolean = nullptr;
  napi_get_boolean(env, value, &boolean);
  return boolean;
}

napi_value MakeBytes(napi_env env, const uint8_t* data, size_t size) {
  Bytes memory;
  napi_value array = MakeEmptyBytes(env, size, &memory);
  if (array != nullptr && size != 0) memcpy(memory.data, data, size);
  return array;
}

napi_value MakeEmptyBytes(napi_env env, size_t size, Bytes* memory) {
  napi_value global = nullptr;
  napi_value constructor = nullptr;
  napi_value length = MakeNumber(env, size);
  napi_value array = nullptr;
  if (napi_get_global(env, &global) != napi_ok ||
      napi_get_named_property(env, global, "Uint8Array", &constructor) !=
          napi_ok ||
      napi_new_instance(env, constructor, 1, &length, &array) != napi_ok ||
      !ReadBytes(env, array, "a new array", memory) || memory->size != size) {
    napi_value ignored = nullptr;
    napi_get_and_clear_last_exception(env, &ignored);
    return nullptr;
  }
  return array;
}

napi_value MakeError(napi_env env, Status status) {
  const char* name = CodeName(status.code);
  char text[64];
  snprintf(text, sizeof text, "%s at %llu", name,
           static_cast<unsigned long long>(status.offset));
  napi_value code = nullptr;
  napi_value message = nullptr;
  napi_value error = nullptr;
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) !=
          napi_ok ||
      napi_create_error(env, code, message, &error) != napi_ok ||
      !SetProperty(env, error, "offset", MakeNumber(env, status.offset))) {
    return nullptr;
  }
  return error;
}

bool SetProperty(napi_env env, napi_value object, const char* name,
                 napi_value value) {
  return value != nullptr &&
         napi_set_named_property(env, object, name, value) == napi_ok;
}

}  // namespace soci::addon
