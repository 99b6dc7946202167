#include "addon/job_result.h"

#include <cstring>

namespace soci::addon {

napi_value MakeBytes(napi_env env, size_t size, uint8_t** data) {
  napi_value global = nullptr;
  napi_value constructor = nullptr;
  napi_value length = nullptr;
  napi_value array = nullptr;
  napi_typedarray_type type = napi_int8_array;
  size_t found = 0;
  void* memory = nullptr;
  if (napi_get_global(env, &global) == napi_ok &&
      napi_get_named_property(env, global, "Uint8Array", &constructor) ==
          napi_ok &&
      napi_create_double(env, static_cast<double>(size), &length) == napi_ok &&
      napi_new_instance(env, constructor, 1, &length, &array) == napi_ok &&
      napi_get_typedarray_info(env, array, &type, &found, &memory, nullptr,
                               nullptr) == napi_ok &&
      type == napi_uint8_array && found == size) {
    *data = static_cast<uint8_t*>(memory);
    return array;
  }
  napi_value ignored = nullptr;
  napi_get_and_clear_last_exception(env, &ignored);
  return nullptr;
}

uint8_t* ArrayOf(napi_env env, napi_value array, size_t size) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* memory = nullptr;
  if (array == nullptr ||
      napi_get_typedarray_info(env, array, &type, &length, &memory, nullptr,
                               nullptr) != napi_ok ||
      type != napi_uint8_array || length < size) {
    return nullptr;
  }
  static uint8_t nothing = 0;
  return memory == nullptr ? &nothing : static_cast<uint8_t*>(memory);
}

JobResult::JobResult(napi_env env) : env_(env) {
  napi_create_object(env, &object_);
}

void JobResult::Number(const char* name, uint64_t value) {
  napi_value number = nullptr;
  napi_create_double(env_, static_cast<double>(value), &number);
  Set(name, number);
}

void JobResult::Bool(const char* name, bool value) {
  napi_value boolean = nullptr;
  napi_get_boolean(env_, value, &boolean);
  Set(name, boolean);
}

void JobResult::Text(const char* name, const char* value) {
  napi_value text = nullptr;
  napi_create_string_utf8(env_, value, NAPI_AUTO_LENGTH, &text);
  Set(name, text);
}

void JobResult::Bytes(const char* name, const uint8_t* data, size_t size) {
  napi_value value = nullptr;
  if (data == nullptr) {
    napi_get_undefined(env_, &value);
  } else {
    uint8_t* copy = nullptr;
    value = MakeBytes(env_, size, &copy);
    if (value != nullptr && size > 0) memcpy(copy, data, size);
  }
  Set(name, value);
}

void JobResult::Set(const char* name, napi_value value) {
  if (object_ != nullptr &&
      (value == nullptr ||
       napi_set_named_property(env_, object_, name, value) != napi_ok)) {
    object_ = nullptr;
  }
}

}  // namespace soci::addon
