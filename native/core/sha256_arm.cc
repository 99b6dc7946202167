// SHA-256 with the cryptography extension of ARMv8, where four rounds are two
// instructions. Every Apple processor has it; elsewhere the kernel is asked.
#include "sha256_blocks.h"

// Clang before 16 declares the intrinsics only where the whole file may use
// them.
#if defined(__aarch64__) && defined(__GNUC__) &&     \
    (defined(__linux__) || defined(__APPLE__)) &&    \
    (!defined(__clang__) || __clang_major__ >= 16 || \
     defined(__ARM_FEATURE_SHA2))
#define SOCI_ARM_SHA2 1
#include <arm_neon.h>
#ifdef __linux__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#ifdef __clang__
#define SOCI_TARGET_SHA2 __attribute__((target("sha2")))
#else
#define SOCI_TARGET_SHA2 __attribute__((target("+crypto")))
#endif
#endif

namespace soci {

#ifdef SOCI_ARM_SHA2
namespace {

struct State {
  uint32x4_t abcd;
  uint32x4_t efgh;
};

SOCI_TARGET_SHA2 inline State LoadState(const uint32_t* words) {
  return {vld1q_u32(words), vld1q_u32(words + 4)};
}

SOCI_TARGET_SHA2 inline void StoreState(State state, uint32_t* words) {
  vst1q_u32(words, state.abcd);
  vst1q_u32(words + 4, state.efgh);
}

SOCI_TARGET_SHA2 inline State Sum(State a, State b) {
  return {vaddq_u32(a.abcd, b.abcd), vaddq_u32(a.efgh, b.efgh)};
}

// Words 4 * i .. 4 * i + 3 of the schedule; `w` holds the last sixteen.
SOCI_TARGET_SHA2 inline uint32x4_t Words(uint32x4_t w[4], const uint8_t* data,
                                         int i) {
  if (i < 4) {
    w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
  } else {
    w[i % 4] = vsha256su1q_u32(vsha256su0q_u32(w[i % 4], w[(i + 1) % 4]),
                               w[(i + 2) % 4], w[(i + 3) % 4]);
  }
  return w[i % 4];
}

SOCI_TARGET_SHA2 inline State FourRounds(State state, uint32x4_t wk) {
  return {vsha256hq_u32(state.abcd, state.efgh, wk),
          vsha256h2q_u32(state.efgh, state.abcd, wk)};
}

SOCI_TARGET_SHA2 void ArmBlocks(uint32_t words[8], const uint8_t* data,
                                size_t count) {
  State state = LoadState(words);
  for (; count > 0; count--, data += kSha256BlockSize) {
    const State before = state;
    uint32x4_t w[4];
    for (int i = 0; i < 16; i++) {
      const uint32x4_t k = vld1q_u32(kSha256RoundConstants + 4 * i);
      state = FourRounds(state, vaddq_u32(Words(w, data, i), k));
    }
    state = Sum(state, before);
  }
  StoreState(state, words);
}

// The same for two messages, their instructions interleaved.
SOCI_TARGET_SHA2 void ArmBlocksX2(uint32_t a_words[8], const uint8_t* a_data,
                                  uint32_t b_words[8], const uint8_t* b_data,
                                  size_t count) {
  State a = LoadState(a_words);
  State b = LoadState(b_words);
  for (; count > 0; count--) {
    const State a_before = a;
    const State b_before = b;
    uint32x4_t a_w[4];
    uint32x4_t b_w[4];
    for (int i = 0; i < 16; i++) {
      const uint32x4_t k = vld1q_u32(kSha256RoundConstants + 4 * i);
      a = FourRounds(a, vaddq_u32(Words(a_w, a_data, i), k));
      b = FourRounds(b, vaddq_u32(Words(b_w, b_data, i), k));
    }
    a = Sum(a, a_before);
    b = Sum(b, b_before);
    a_data += kSha256BlockSize;
    b_data += kSha256BlockSize;
  }
  StoreState(a, a_words);
  StoreState(b, b_words);
}

bool HasSha2() {
#ifdef __APPLE__
  return true;
#else
  return (getauxval(AT_HWCAP) & HWCAP_SHA2) != 0;
#endif
}

}  // namespace

Sha256Blocks* Sha256BlocksArm() { return HasSha2() ? &ArmBlocks : nullptr; }

Sha256BlocksX2* Sha256BlocksX2Arm() {
  return HasSha2() ? &ArmBlocksX2 : nullptr;
}

#else

Sha256Blocks* Sha256BlocksArm() { return nullptr; }
Sha256BlocksX2* Sha256BlocksX2Arm() { return nullptr; }

#endif

}  // namespace soci
