// The object that a job's promise resolves to. Raw Node-API, for the reason in
// failure.h, and because what cannot be made for want of memory is to reject
// the promise, not to be thrown out of the call that ends the job.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>

namespace soci::addon {

// A new Uint8Array of `size` bytes, allocated by JavaScript: Node-API's own
// allocation ends the process when memory is short, `new Uint8Array` throws.
// nullptr if it did, or if script is over.
napi_value MakeBytes(napi_env env, size_t size, uint8_t** data);

// The memory of a Uint8Array. nullptr if it has fewer than `size` bytes: it may
// have shrunk or be detached since it was last looked at.
uint8_t* ArrayOf(napi_env env, napi_value array, size_t size);

class JobResult {
 public:
  explicit JobResult(napi_env env);

  // Sizes and offsets of the core stay below 2^53: they count real bytes.
  void Number(const char* name, uint64_t value);
  void Bool(const char* name, bool value);
  void Text(const char* name, const char* value);
  // A copy; undefined for a `data` of nullptr.
  void Bytes(const char* name, const uint8_t* data, size_t size);
  void Set(const char* name, napi_value value);

  // nullptr if anything of it could not be made.
  napi_value get() const { return object_; }

 private:
  napi_env env_;
  napi_value object_ = nullptr;
};

}  // namespace soci::addon
