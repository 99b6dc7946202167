// Why an operation on a tree failed: the call that did and its errno. What a
// whole batch is refused for is the call "parse".
#pragma once

#include <cerrno>

namespace soci {

struct [[nodiscard]] TreeFailure {
  const char* call = nullptr;  // static
  int error = 0;               // errno; 0: it did not fail

  bool ok() const { return error == 0; }

  static TreeFailure None() { return {}; }
  // Of a call that has just failed.
  static TreeFailure Of(const char* call) { return {call, errno}; }
};

}  // namespace soci
