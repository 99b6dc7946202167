// The compression function of SHA-256, several times over: in plain C++ and
// with the instructions that x86 (SHA-NI) and ARMv8 have for it. All of them
// compute the same; which one runs is decided by what the processor reports.
//
// The X2 forms take two messages at once. The rounds of one are a chain in
// which each instruction waits for the last (4 cycles on Zen 4, which could
// start one every 2); those of another message fill the gaps. Measured there:
// 1.8 GB/s for one message, 3.2 GB/s for two together.
#pragma once

#include <cstddef>
#include <cstdint>

namespace soci {

constexpr size_t kSha256BlockSize = 64;

// The round constants of FIPS 180-4 §4.2.2.
extern const uint32_t kSha256RoundConstants[64];

// Feeds `count` blocks of 64 bytes into the eight words of `state`.
using Sha256Blocks = void(uint32_t state[8], const uint8_t* data, size_t count);

// Feeds `count` blocks each into `a_state` and `b_state`, which are not the
// same.
using Sha256BlocksX2 = void(uint32_t a_state[8], const uint8_t* a_data,
                            uint32_t b_state[8], const uint8_t* b_data,
                            size_t count);

Sha256Blocks Sha256BlocksPortable;
Sha256BlocksX2 Sha256BlocksX2Portable;

// nullptr where the compiler or the processor has no such instructions.
Sha256Blocks* Sha256BlocksX86();
Sha256Blocks* Sha256BlocksArm();
Sha256BlocksX2* Sha256BlocksX2X86();
Sha256BlocksX2* Sha256BlocksX2Arm();

Sha256Blocks* FastestSha256Blocks();
Sha256BlocksX2* FastestSha256BlocksX2();

}  // namespace soci
