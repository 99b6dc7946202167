// Where a Run of the fast engine's careful half stands: the ends of its buffers
// and the bits that were taken from the input and not used. The hot loops have
// registers of their own, which begin and end here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "bytes.h"
#include "fast_loop.h"

namespace soci {

struct FastCursor {
  const uint8_t* in;
  const uint8_t* in_end;
  uint8_t* out;
  uint8_t* out_end;
  // Bits above the lowest `bits` are 0 or what follows in the input anyway.
  uint64_t hold;
  unsigned bits;

  bool HasMargins() const {
    return in_left() >= kFastInputMargin && out_left() >= kFastOutputMargin;
  }
  FastLoopState Enter() const { return {in, out, hold, bits}; }
  void Leave(const FastLoopState& state) {
    in = state.in;
    out = state.out;
    hold = state.hold;
    bits = state.bits;
  }
  size_t in_left() const { return static_cast<size_t>(in_end - in); }
  size_t out_left() const { return static_cast<size_t>(out_end - out); }

  // Afterwards the buffer has at least 56 bits, or all that there are. No
  // element needs more than 48 (a length and a distance: 15 + 5 + 15 + 13).
  void Refill() {
    if (in_left() >= 8) {
      hold |= LoadLe64(in) << bits;
      in += (63 - bits) >> 3;
      bits |= 56;
      return;
    }
    while (bits < 56 && in != in_end) {
      hold |= uint64_t{*in++} << bits;
      bits += 8;
    }
  }
  bool Need(unsigned n) {
    if (bits < n) Refill();
    return bits >= n;
  }
  unsigned Peek(unsigned n) const {
    return static_cast<unsigned>(hold) & ((1u << n) - 1);
  }
  void Drop(unsigned n) {
    hold >>= n;
    bits -= n;
  }
  unsigned Take(unsigned n) {
    const unsigned value = Peek(n);
    Drop(n);
    return value;
  }
  // Whole bytes that no element used, `most` of them, count as not consumed.
  void GiveBack(size_t most = SIZE_MAX) {
    const size_t bytes = std::min<size_t>(bits >> 3, most);
    in -= bytes;
    bits -= static_cast<unsigned>(8 * bytes);
    hold &= (uint64_t{1} << bits) - 1;
  }
};

}  // namespace soci
