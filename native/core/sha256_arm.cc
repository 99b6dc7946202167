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

SOCI_TARGET_SHA2 void ArmBlocks(uint32_t state[8], const uint8_t* data,
                                size_t count) {
  uint32x4_t abcd = vld1q_u32(state);
  uint32x4_t efgh = vld1q_u32(state + 4);
  for (; count > 0; count--, data += kSha256BlockSize) {
    const uint32x4_t abcd_before = abcd;
    const uint32x4_t efgh_before = efgh;
    uint32x4_t w[4];  // the last sixteen words of the schedule
    for (int i = 0; i < 16; i++) {
      if (i < 4) {
        w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
      } else {
        w[i % 4] = vsha256su1q_u32(vsha256su0q_u32(w[i % 4], w[(i + 1) % 4]),
                                   w[(i + 2) % 4], w[(i + 3) % 4]);
      }
      const uint32x4_t wk =
          vaddq_u32(w[i % 4], vld1q_u32(kSha256RoundConstants + 4 * i));
      const uint32x4_t abcd_now = abcd;
      abcd = vsha256hq_u32(abcd, efgh, wk);
      efgh = vsha256h2q_u32(efgh, abcd_now, wk);
    }
    abcd = vaddq_u32(abcd, abcd_before);
    efgh = vaddq_u32(efgh, efgh_before);
  }
  vst1q_u32(state, abcd);
  vst1q_u32(state + 4, efgh);
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

#else

Sha256Blocks* Sha256BlocksArm() { return nullptr; }

#endif

}  // namespace soci
