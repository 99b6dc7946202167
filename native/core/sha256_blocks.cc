#include "sha256_blocks.h"

namespace soci {
namespace {

uint32_t RotateRight(uint32_t x, int n) { return x >> n | x << (32 - n); }

uint32_t LoadBe32(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 |
         uint32_t{p[3]};
}

// The functions of FIPS 180-4 §4.1.2.
uint32_t Choose(uint32_t x, uint32_t y, uint32_t z) {
  return (x & y) ^ (~x & z);
}
uint32_t Majority(uint32_t x, uint32_t y, uint32_t z) {
  return (x & y) ^ (x & z) ^ (y & z);
}
uint32_t BigSigma0(uint32_t x) {
  return RotateRight(x, 2) ^ RotateRight(x, 13) ^ RotateRight(x, 22);
}
uint32_t BigSigma1(uint32_t x) {
  return RotateRight(x, 6) ^ RotateRight(x, 11) ^ RotateRight(x, 25);
}
uint32_t SmallSigma0(uint32_t x) {
  return RotateRight(x, 7) ^ RotateRight(x, 18) ^ x >> 3;
}
uint32_t SmallSigma1(uint32_t x) {
  return RotateRight(x, 17) ^ RotateRight(x, 19) ^ x >> 10;
}

}  // namespace

const uint32_t kSha256RoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

void Sha256BlocksPortable(uint32_t state[8], const uint8_t* data,
                          size_t count) {
  for (; count > 0; count--, data += kSha256BlockSize) {
    uint32_t w[64];
    for (int t = 0; t < 16; t++) w[t] = LoadBe32(data + 4 * t);
    for (int t = 16; t < 64; t++) {
      w[t] =
          SmallSigma1(w[t - 2]) + w[t - 7] + SmallSigma0(w[t - 15]) + w[t - 16];
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t++) {
      const uint32_t t1 =
          h + BigSigma1(e) + Choose(e, f, g) + kSha256RoundConstants[t] + w[t];
      const uint32_t t2 = BigSigma0(a) + Majority(a, b, c);
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

void Sha256BlocksX2Portable(uint32_t a_state[8], const uint8_t* a_data,
                            uint32_t b_state[8], const uint8_t* b_data,
                            size_t count) {
  Sha256BlocksPortable(a_state, a_data, count);
  Sha256BlocksPortable(b_state, b_data, count);
}

Sha256Blocks* FastestSha256Blocks() {
  static Sha256Blocks* const fastest = [] {
    if (Sha256Blocks* x86 = Sha256BlocksX86()) return x86;
    if (Sha256Blocks* arm = Sha256BlocksArm()) return arm;
    return &Sha256BlocksPortable;
  }();
  return fastest;
}

Sha256BlocksX2* FastestSha256BlocksX2() {
  static Sha256BlocksX2* const fastest = [] {
    if (Sha256BlocksX2* x86 = Sha256BlocksX2X86()) return x86;
    if (Sha256BlocksX2* arm = Sha256BlocksX2Arm()) return arm;
    return &Sha256BlocksX2Portable;
  }();
  return fastest;
}

}  // namespace soci
