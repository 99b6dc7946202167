// Reads what script passed in. lib/binding.ts has checked all shapes and words
// its own errors; the checks here exist for memory safety. The first value that
// is wrong leaves a TypeError pending, and whatever is read after it is empty:
// callers look at ok() once, when they have read everything.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>

#include "core/inflater.h"

namespace soci::addon {

// A view of a Uint8Array's memory, good until script runs again. `data` is
// never nullptr once read, not even for an empty or detached array.
struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

class Arguments {
 public:
  explicit Arguments(Napi::Env env) : env_(env) {}

  bool ok() const { return ok_; }
  // Makes this not ok, with a TypeError unless an exception is pending already.
  void Refuse(const char* message);

  // Of an object; runs script if there is a getter.
  Napi::Value Property(Napi::Value object, const char* name);

  Bytes ReadBytes(Napi::Value value, const char* name);
  // undefined is allowed, and gives a `data` of nullptr.
  Bytes ReadOptionalBytes(Napi::Value value, const char* name);
  // An integer of 0..2^53-1.
  uint64_t ReadOffset(Napi::Value value, const char* name);
  bool ReadBool(Napi::Value value, const char* name);
  // Bigints that fit.
  uint64_t ReadUint64(Napi::Value value, const char* name);
  int64_t ReadInt64(Napi::Value value, const char* name);
  Engine ReadEngine(Napi::Value value);

  static bool IsOffset(double number);

 private:
  void Expected(const char* what, const char* name);

  Napi::Env env_;
  bool ok_ = true;
};

}  // namespace soci::addon
