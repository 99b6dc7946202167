// Little-endian loads and stores through byte pointers of any alignment. Every
// number in the formats handled here (gzip, zinfo, header records) is little-
// endian whatever the machine, so the conversion lives in one place.
#pragma once

#include <cstdint>

namespace soci {

inline uint32_t LoadLe32(const uint8_t* p) {
  return uint32_t{p[0]} | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 |
         uint32_t{p[3]} << 24;
}

inline uint64_t LoadLe64(const uint8_t* p) {
  return uint64_t{LoadLe32(p)} | uint64_t{LoadLe32(p + 4)} << 32;
}

inline void StoreLe32(uint8_t* p, uint32_t value) {
  p[0] = static_cast<uint8_t>(value);
  p[1] = static_cast<uint8_t>(value >> 8);
  p[2] = static_cast<uint8_t>(value >> 16);
  p[3] = static_cast<uint8_t>(value >> 24);
}

inline void StoreLe64(uint8_t* p, uint64_t value) {
  StoreLe32(p, static_cast<uint32_t>(value));
  StoreLe32(p + 4, static_cast<uint32_t>(value >> 32));
}

}  // namespace soci
