// SHA-256 with the SHA extensions of x86. Two rounds are one instruction, and
// four words of the message schedule are two, so a block takes a quarter of
// the time of the plain code. Compiled for every x86-64, run where CPUID says
// so.
#include "sha256_blocks.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace soci {

#if defined(__x86_64__) && defined(__GNUC__)
namespace {

#define SOCI_TARGET_SHA __attribute__((target("sha,sse4.1")))

SOCI_TARGET_SHA inline __m128i Load(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

// Sixteen bytes of the message as four words of the schedule.
SOCI_TARGET_SHA inline __m128i LoadWords(const uint8_t* p) {
  const __m128i big_endian =
      _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  return _mm_shuffle_epi8(Load(p), big_endian);
}

// The next four words of the schedule from the last sixteen, oldest first.
SOCI_TARGET_SHA inline __m128i NextWords(__m128i w16, __m128i w12, __m128i w8,
                                         __m128i w4) {
  const __m128i w7 = _mm_alignr_epi8(w4, w8, 4);
  return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w16, w12), w7),
                              w4);
}

// Four rounds. The instructions want the state as {a,b,e,f} and {c,d,g,h},
// high word first.
SOCI_TARGET_SHA inline void FourRounds(__m128i* abef, __m128i* cdgh, __m128i w,
                                       const uint32_t* constants) {
  const __m128i wk = _mm_add_epi32(w, Load(constants));
  *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, wk);
  *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(wk, 0x0e));
}

SOCI_TARGET_SHA void ShaNiBlocks(uint32_t state[8], const uint8_t* data,
                                 size_t count) {
  const __m128i cdab = _mm_shuffle_epi32(Load(state), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(Load(state + 4), 0x1b);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);

  for (; count > 0; count--, data += kSha256BlockSize) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    const uint32_t* k = kSha256RoundConstants;
    __m128i w0 = LoadWords(data);
    FourRounds(&abef, &cdgh, w0, k);
    __m128i w1 = LoadWords(data + 16);
    FourRounds(&abef, &cdgh, w1, k + 4);
    __m128i w2 = LoadWords(data + 32);
    FourRounds(&abef, &cdgh, w2, k + 8);
    __m128i w3 = LoadWords(data + 48);
    FourRounds(&abef, &cdgh, w3, k + 12);
    for (int i = 16; i < 64; i += 16) {
      w0 = NextWords(w0, w1, w2, w3);
      FourRounds(&abef, &cdgh, w0, k + i);
      w1 = NextWords(w1, w2, w3, w0);
      FourRounds(&abef, &cdgh, w1, k + i + 4);
      w2 = NextWords(w2, w3, w0, w1);
      FourRounds(&abef, &cdgh, w2, k + i + 8);
      w3 = NextWords(w3, w0, w1, w2);
      FourRounds(&abef, &cdgh, w3, k + i + 12);
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }

  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state),
                   _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4),
                   _mm_alignr_epi8(dchg, feba, 8));
}

bool HasShaNi() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  const bool sha = (ebx & (1u << 29)) != 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
  const bool ssse3 = (ecx & (1u << 9)) != 0;
  const bool sse41 = (ecx & (1u << 19)) != 0;
  return sha && ssse3 && sse41;
}

}  // namespace

Sha256Blocks* Sha256BlocksX86() { return HasShaNi() ? &ShaNiBlocks : nullptr; }

#else

Sha256Blocks* Sha256BlocksX86() { return nullptr; }

#endif

}  // namespace soci
