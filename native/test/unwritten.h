// Tells MemorySanitizer which memory nobody has written to yet: to a buffer
// that was cleared, or used before, it takes every read for a sound one. Other
// builds do nothing.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define SOCI_MEMORY_SANITIZER
#include <sanitizer/msan_interface.h>
#endif
#endif

namespace soci::test {

#if defined(SOCI_MEMORY_SANITIZER)
constexpr bool kMemorySanitizer = true;
inline void MarkUnwritten(void* at, size_t len) {
  __msan_allocated_memory(at, len);
}
// Whether all of it was, and not with anything that came from unwritten memory.
inline bool IsWritten(const void* at, size_t len) {
  return __msan_test_shadow(at, len) < 0;
}
#else
constexpr bool kMemorySanitizer = false;
inline void MarkUnwritten(void* /*at*/, size_t /*len*/) {}
inline bool IsWritten(const void* /*at*/, size_t /*len*/) { return true; }
#endif

}  // namespace soci::test
