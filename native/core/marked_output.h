// Output of a decoder that does not know the 32 KiB before the place where it
// began. An element is a byte, or a marker: the place in that window which the
// byte was copied from, directly or through other copies. Once the window is
// known, markers are replaced in a pass of their own, which is many times
// faster than decoding.
#pragma once

#include <cstddef>
#include <cstdint>

#include "inflater.h"

namespace soci {

// 0..255 is a byte; kFirstMarker + i is byte i of the window, oldest first.
using Marked = uint16_t;
constexpr Marked kFirstMarker = 256;
static_assert(kFirstMarker + kWindowSize - 1 <= UINT16_MAX, "all markers");

class MarkerTable {
 public:
  // `window` is the kWindowSize bytes that the markers stand for.
  void Load(const uint8_t* window);
  void Replace(const Marked* in, size_t count, uint8_t* out) const;

 private:
  uint8_t bytes_[kFirstMarker + kWindowSize];
};

}  // namespace soci
