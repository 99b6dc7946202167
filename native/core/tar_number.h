// The numbers of a tar header as Go's archive/tar reads them: octal digits
// between any padding of spaces and NULs (POSIX ustar), or base-256 with the
// first bit set (GNU, two's complement). PAX writes decimal text instead.
#pragma once

#include <cstddef>
#include <cstdint>

namespace soci {

// Each returns false for what is no number or does not fit; an empty field of
// a header is 0.
bool ParseTarOctal(const uint8_t* field, size_t len, int64_t* value);
bool ParseTarNumber(const uint8_t* field, size_t len, int64_t* value);
bool ParsePaxNumber(const uint8_t* text, size_t len, int64_t* value);

}  // namespace soci
