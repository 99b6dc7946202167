// CRC-32 of gzip (RFC 1952 §8; zlib has a crc32.h of its own). Building a ztoc
// checks every byte of a layer with it, so it must be much faster than
// decoding: carry-less multiplication where the processor has it, zlib's tables
// elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>

namespace soci {

// The CRC of what `crc` covers followed by `data`; 0 covers nothing.
uint32_t Crc32(uint32_t crc, const uint8_t* data, size_t len);

// Folds `len` bytes, at least 64, into the 16 bytes of `rest`: continuing a
// CRC whose register is 0 with them gives what `crc` continued with `data`
// gives. Takes whole blocks of 16 bytes and returns how many bytes it took.
// nullptr where the compiler or the processor cannot.
using Crc32Fold = size_t(uint32_t crc, const uint8_t* data, size_t len,
                         uint8_t rest[16]);
Crc32Fold* Crc32FoldX86();

}  // namespace soci
