#include "marked_output.h"

#include <cstring>

namespace soci {
namespace {

constexpr size_t kGroup = 16;

inline bool HasMarkers(const Marked* group) {
  uint64_t words[kGroup * sizeof(Marked) / sizeof(uint64_t)];
  static_assert(sizeof words == 4 * sizeof *words, "a group");
  std::memcpy(words, group, sizeof words);
  return ((words[0] | words[1] | words[2] | words[3]) & 0xff00ff00ff00ff00) !=
         0;
}

}  // namespace

void MarkerTable::Load(const uint8_t* window) {
  for (unsigned byte = 0; byte < kFirstMarker; byte++) {
    bytes_[byte] = static_cast<uint8_t>(byte);
  }
  std::memcpy(bytes_ + kFirstMarker, window, kWindowSize);
}

// Two thirds and more of all groups have no marker. The loop over such a group
// works on copies, so that compilers see that nothing overlaps and make a few
// vector instructions of it.
void MarkerTable::Replace(const Marked* in, size_t count, uint8_t* out) const {
  size_t at = 0;
  for (; at + kGroup <= count; at += kGroup) {
    if (HasMarkers(in + at)) {
      for (size_t i = 0; i < kGroup; i++) out[at + i] = bytes_[in[at + i]];
      continue;
    }
    Marked elements[kGroup];
    uint8_t bytes[kGroup];
    std::memcpy(elements, in + at, sizeof elements);
    for (size_t i = 0; i < kGroup; i++) {
      bytes[i] = static_cast<uint8_t>(elements[i]);
    }
    std::memcpy(out + at, bytes, sizeof bytes);
  }
  for (; at < count; at++) out[at] = bytes_[in[at]];
}

}  // namespace soci
