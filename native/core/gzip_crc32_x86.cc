// CRC-32 by folding with PCLMULQDQ. A message is a polynomial over GF(2), and
// its CRC a remainder; so 16 bytes may be replaced by their product with
// x^n mod P, added to the 16 bytes that lie n bits behind. Four such
// accumulators run side by side, since a multiplication has a latency of
// several cycles and a throughput of one. The method and its constants, for
// bit-reflected data, are those of Gopal et al., "Fast CRC Computation for
// Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009.
#include "gzip_crc32.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

namespace soci {

#if defined(__x86_64__) && defined(__GNUC__)
namespace {

#define SOCI_TARGET_PCLMUL __attribute__((target("pclmul,sse4.1")))

SOCI_TARGET_PCLMUL inline __m128i Load(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

// `block` moved as far back as `distance` says, added to `next`.
SOCI_TARGET_PCLMUL inline __m128i Fold(__m128i block, __m128i distance,
                                       __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(block, distance, 0x00);
  const __m128i high = _mm_clmulepi64_si128(block, distance, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

SOCI_TARGET_PCLMUL size_t FoldPclmul(uint32_t crc, const uint8_t* data,
                                     size_t len, uint8_t rest[16]) {
  // x^(n+32) and x^(n-32) mod P, reflected, for n = 512 and 128 bits.
  const __m128i by_64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
  const __m128i by_16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);

  const uint8_t* p = data;
  const uint8_t* const end = data + len;
  __m128i a = _mm_xor_si128(Load(p), _mm_cvtsi32_si128(static_cast<int>(~crc)));
  __m128i b = Load(p + 16);
  __m128i c = Load(p + 32);
  __m128i d = Load(p + 48);
  p += 64;
  for (; end - p >= 64; p += 64) {
    a = Fold(a, by_64, Load(p));
    b = Fold(b, by_64, Load(p + 16));
    c = Fold(c, by_64, Load(p + 32));
    d = Fold(d, by_64, Load(p + 48));
  }
  a = Fold(Fold(Fold(a, by_16, b), by_16, c), by_16, d);
  for (; end - p >= 16; p += 16) a = Fold(a, by_16, Load(p));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), a);
  return static_cast<size_t>(p - data);
}

}  // namespace

Crc32Fold* Crc32FoldX86() {
  return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")
             ? FoldPclmul
             : nullptr;
}

#else

Crc32Fold* Crc32FoldX86() { return nullptr; }

#endif

}  // namespace soci
