// CRC-32 against zlib's, for every short length and alignment and for pieces.
#include "../core/gzip_crc32.h"

#include <zlib.h>

#include "check.h"

using soci::Crc32;
using soci::test::Bytes;

int main() {
  soci::test::Random random(7);
  Bytes data(70000);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(random.Below(256));

  // RFC 1952 has no vector; this one is the customary check value.
  const auto* const digits = reinterpret_cast<const uint8_t*>("123456789");
  CHECK_EQ(Crc32(0, digits, 9), 0xcbf43926u);
  CHECK_EQ(Crc32(0, digits, 0), 0u);

  bool same = true;
  for (size_t len = 0; len < 400; len++) {
    for (size_t at = 0; at < 17; at++) {
      const auto start = static_cast<uint32_t>(len * 0x9e3779b9u + at);
      same &= Crc32(start, data.data() + at, len) ==
              crc32_z(start, data.data() + at, len);
    }
  }
  CHECK(same);

  uint32_t crc = 0;
  for (size_t at = 0; at < data.size();) {
    const size_t len = std::min<size_t>(random.Below(3000), data.size() - at);
    crc = Crc32(crc, data.data() + at, len);
    at += len;
  }
  CHECK_EQ(crc, static_cast<uint32_t>(crc32_z(0, data.data(), data.size())));
  return soci::test::Report("gzip_crc32");
}
