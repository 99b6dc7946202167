#include "gzip_crc32.h"

#include <zlib.h>

namespace soci {

uint32_t Crc32(uint32_t crc, const uint8_t* data, size_t len) {
  static Crc32Fold* const fold = Crc32FoldX86();
  if (fold != nullptr && len >= 64) {
    uint8_t rest[16];
    const size_t taken = fold(crc, data, len, rest);
    // Outside, a CRC is the complement of its register (RFC 1952 §8).
    constexpr uint32_t kRegisterZero = 0xffffffff;
    crc = static_cast<uint32_t>(crc32_z(kRegisterZero, rest, sizeof(rest)));
    data += taken;
    len -= taken;
  }
  return static_cast<uint32_t>(crc32_z(crc, data, len));
}

}  // namespace soci
