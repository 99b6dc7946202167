// Assertions for the unit tests: a failed one prints where and what, and the
// program ends with the counts and a status that make understands. No
// framework, so that the core's tests build wherever the core does.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace soci::test {

using Bytes = std::vector<uint8_t>;

inline int passed = 0;
inline int failed = 0;

inline bool Check(bool ok, const char* what, const char* file, int line) {
  if (ok) {
    passed++;
  } else {
    failed++;
    std::fprintf(stderr, "%s:%d: expected %s\n", file, line, what);
  }
  return ok;
}

template <typename A, typename B>
bool CheckEqual(const A& a, const B& b, const char* what, const char* file,
                int line) {
  const bool equal = a == b;
  Check(equal, what, file, line);
  if constexpr (std::is_convertible_v<A, int64_t> &&
                std::is_convertible_v<B, int64_t>) {
    if (!equal) {
      std::fprintf(stderr, "  %lld is not %lld\n", static_cast<long long>(a),
                   static_cast<long long>(b));
    }
  }
  return equal;
}

inline int Report(const char* name) {
  std::printf("%s: %d passed, %d failed\n", name, passed, failed);
  return failed == 0 ? 0 : 1;
}

inline std::string Hex(const uint8_t* bytes, size_t len) {
  static const char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (size_t i = 0; i < len; i++) {
    hex += kDigits[bytes[i] >> 4];
    hex += kDigits[bytes[i] & 15];
  }
  return hex;
}

// The same numbers on every machine, unlike those of <random>'s distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {  // splitmix64
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  size_t Below(size_t bound) { return static_cast<size_t>(Next() % bound); }

 private:
  uint64_t state_;
};

}  // namespace soci::test

#define CHECK(condition) \
  ::soci::test::Check((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQ(a, b) \
  ::soci::test::CheckEqual((a), (b), #a " == " #b, __FILE__, __LINE__)
