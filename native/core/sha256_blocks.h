// The compression function of SHA-256, several times over: in plain C++ and
// with the instructions that x86 (SHA-NI) and ARMv8 have for it. All of them
// compute the same; which one runs is decided by what the processor reports.
#pragma once

#include <cstddef>
#include <cstdint>

namespace soci {

constexpr size_t kSha256BlockSize = 64;

// The round constants of FIPS 180-4 §4.2.2.
extern const uint32_t kSha256RoundConstants[64];

// Feeds `count` blocks of 64 bytes into the eight words of `state`.
using Sha256Blocks = void(uint32_t state[8], const uint8_t* data, size_t count);

Sha256Blocks Sha256BlocksPortable;

// nullptr where the compiler or the processor has no such instructions.
Sha256Blocks* Sha256BlocksX86();
Sha256Blocks* Sha256BlocksArm();

Sha256Blocks* FastestSha256Blocks();

}  // namespace soci
