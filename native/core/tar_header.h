// What walking a tar needs from one 512-byte header block: is it a header, its
// type, its size, and how its name ends. Field by field as Go's archive/tar.
#pragma once

#include <cstddef>
#include <cstdint>

namespace soci {

constexpr size_t kTarBlockSize = 512;

struct TarHeader {
  uint8_t type;
  int64_t size;      // as stored, may be negative
  uint8_t name_end;  // last character of prefix and name, 0 if both are empty
};

bool IsZeroBlock(const uint8_t* block);

// False if the checksum is wrong or the size is no number.
bool ParseTarHeader(const uint8_t* block, TarHeader* header);

// Types behind which no contents follow, whatever the size says.
bool IsHeaderOnly(uint8_t type);

}  // namespace soci
