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

// The eight words as the instructions want them: {a,b,e,f} and {c,d,g,h}, high
// word first.
struct State {
  __m128i abef;
  __m128i cdgh;
};

SOCI_TARGET_SHA inline void FourRounds(State* state, __m128i w,
                                       const uint32_t* constants) {
  const __m128i wk = _mm_add_epi32(w, Load(constants));
  state->cdgh = _mm_sha256rnds2_epu32(state->cdgh, state->abef, wk);
  state->abef = _mm_sha256rnds2_epu32(state->abef, state->cdgh,
                                      _mm_shuffle_epi32(wk, 0x0e));
}

SOCI_TARGET_SHA inline void FourRoundsX2(State* a, __m128i a_words, State* b,
                                         __m128i b_words,
                                         const uint32_t* constants) {
  const __m128i k = Load(constants);
  const __m128i a_wk = _mm_add_epi32(a_words, k);
  const __m128i b_wk = _mm_add_epi32(b_words, k);
  a->cdgh = _mm_sha256rnds2_epu32(a->cdgh, a->abef, a_wk);
  b->cdgh = _mm_sha256rnds2_epu32(b->cdgh, b->abef, b_wk);
  a->abef =
      _mm_sha256rnds2_epu32(a->abef, a->cdgh, _mm_shuffle_epi32(a_wk, 0x0e));
  b->abef =
      _mm_sha256rnds2_epu32(b->abef, b->cdgh, _mm_shuffle_epi32(b_wk, 0x0e));
}

SOCI_TARGET_SHA inline State LoadState(const uint32_t* words) {
  const __m128i cdab = _mm_shuffle_epi32(Load(words), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(Load(words + 4), 0x1b);
  return {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
}

SOCI_TARGET_SHA inline void StoreState(State state, uint32_t* words) {
  const __m128i feba = _mm_shuffle_epi32(state.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(state.cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(words),
                   _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(words + 4),
                   _mm_alignr_epi8(dchg, feba, 8));
}

SOCI_TARGET_SHA inline State Sum(State a, State b) {
  return {_mm_add_epi32(a.abef, b.abef), _mm_add_epi32(a.cdgh, b.cdgh)};
}

SOCI_TARGET_SHA void ShaNiBlocks(uint32_t words[8], const uint8_t* data,
                                 size_t count) {
  State state = LoadState(words);
  for (; count > 0; count--, data += kSha256BlockSize) {
    const State before = state;
    const uint32_t* k = kSha256RoundConstants;
    __m128i w0 = LoadWords(data);
    FourRounds(&state, w0, k);
    __m128i w1 = LoadWords(data + 16);
    FourRounds(&state, w1, k + 4);
    __m128i w2 = LoadWords(data + 32);
    FourRounds(&state, w2, k + 8);
    __m128i w3 = LoadWords(data + 48);
    FourRounds(&state, w3, k + 12);
    for (int i = 16; i < 64; i += 16) {
      w0 = NextWords(w0, w1, w2, w3);
      FourRounds(&state, w0, k + i);
      w1 = NextWords(w1, w2, w3, w0);
      FourRounds(&state, w1, k + i + 4);
      w2 = NextWords(w2, w3, w0, w1);
      FourRounds(&state, w2, k + i + 8);
      w3 = NextWords(w3, w0, w1, w2);
      FourRounds(&state, w3, k + i + 12);
    }
    state = Sum(state, before);
  }
  StoreState(state, words);
}

// The same for two messages, their instructions interleaved.
SOCI_TARGET_SHA void ShaNiBlocksX2(uint32_t a_words[8], const uint8_t* a_data,
                                   uint32_t b_words[8], const uint8_t* b_data,
                                   size_t count) {
  State a = LoadState(a_words);
  State b = LoadState(b_words);
  for (; count > 0; count--) {
    const State a_before = a;
    const State b_before = b;
    const uint32_t* k = kSha256RoundConstants;
    __m128i a0 = LoadWords(a_data);
    __m128i b0 = LoadWords(b_data);
    FourRoundsX2(&a, a0, &b, b0, k);
    __m128i a1 = LoadWords(a_data + 16);
    __m128i b1 = LoadWords(b_data + 16);
    FourRoundsX2(&a, a1, &b, b1, k + 4);
    __m128i a2 = LoadWords(a_data + 32);
    __m128i b2 = LoadWords(b_data + 32);
    FourRoundsX2(&a, a2, &b, b2, k + 8);
    __m128i a3 = LoadWords(a_data + 48);
    __m128i b3 = LoadWords(b_data + 48);
    FourRoundsX2(&a, a3, &b, b3, k + 12);
    for (int i = 16; i < 64; i += 16) {
      a0 = NextWords(a0, a1, a2, a3);
      b0 = NextWords(b0, b1, b2, b3);
      FourRoundsX2(&a, a0, &b, b0, k + i);
      a1 = NextWords(a1, a2, a3, a0);
      b1 = NextWords(b1, b2, b3, b0);
      FourRoundsX2(&a, a1, &b, b1, k + i + 4);
      a2 = NextWords(a2, a3, a0, a1);
      b2 = NextWords(b2, b3, b0, b1);
      FourRoundsX2(&a, a2, &b, b2, k + i + 8);
      a3 = NextWords(a3, a0, a1, a2);
      b3 = NextWords(b3, b0, b1, b2);
      FourRoundsX2(&a, a3, &b, b3, k + i + 12);
    }
    a = Sum(a, a_before);
    b = Sum(b, b_before);
    a_data += kSha256BlockSize;
    b_data += kSha256BlockSize;
  }
  StoreState(a, a_words);
  StoreState(b, b_words);
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

Sha256BlocksX2* Sha256BlocksX2X86() {
  return HasShaNi() ? &ShaNiBlocksX2 : nullptr;
}

#else

Sha256Blocks* Sha256BlocksX86() { return nullptr; }
Sha256BlocksX2* Sha256BlocksX2X86() { return nullptr; }

#endif

}  // namespace soci
