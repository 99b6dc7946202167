// JavaScript values in and out, on the JS thread only. Readers throw a
// TypeError into JavaScript and return false, so that a caller only has to
// return nullptr; makers return nullptr when memory is short or script can no
// longer run. lib/binding.ts has checked all shapes and words its own errors:
// the checks here exist for memory safety.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>

#include "core/inflater.h"
#include "core/status.h"

namespace soci::addon {

// A view of a Uint8Array's memory, good until script runs again. `data` is
// never nullptr once read, not even for an empty or detached array.
struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

// A TypeError; false, for `return Throw(…)` in a reader.
bool Throw(napi_env env, const char* message);
// What a promise would be rejected with; nullptr, to return to JavaScript.
napi_value ThrowStatus(napi_env env, Status status);

bool ReadBytes(napi_env env, napi_value value, const char* name, Bytes* out);
// undefined is allowed and leaves `out` empty.
bool ReadOptionalBytes(napi_env env, napi_value value, const char* name,
                       Bytes* out);
bool IsOffset(double number);  // an integer of 0..2^53-1
bool ReadOffset(napi_env env, napi_value value, const char* name,
                uint64_t* out);
bool ReadBool(napi_env env, napi_value value, const char* name, bool* out);
bool ReadEngine(napi_env env, napi_value value, Engine* out);
bool ReadProperty(napi_env env, napi_value object, const char* name,
                  napi_value* out);
bool IsUndefined(napi_env env, napi_value value);

napi_value MakeUndefined(napi_env env);
// Sizes and offsets of the core stay below 2^53: they count real bytes.
napi_value MakeNumber(napi_env env, uint64_t value);
napi_value MakeBool(napi_env env, bool value);
// A new Uint8Array, allocated by JavaScript: Node-API's own allocation ends the
// process when memory is short, `new Uint8Array` throws.
napi_value MakeBytes(napi_env env, const uint8_t* data, size_t size);
// The same for a caller that fills it in place.
napi_value MakeEmptyBytes(napi_env env, size_t size, Bytes* memory);
// An Error with `code` ('GZIP_HEADER', …) and `offset`.
napi_value MakeError(napi_env env, Status status);
// False when `value` is nullptr or cannot be set.
bool SetProperty(napi_env env, napi_value object, const char* name,
                 napi_value value);

}  // namespace soci::addon
