#include "tar_number.h"

namespace soci {
namespace {

bool IsPadding(uint8_t c) { return c == ' ' || c == 0; }

bool ParseBase256(const uint8_t* field, size_t len, int64_t* value) {
  // -a - 1 == ~a: a negative number is read as the complement of a positive.
  const uint8_t invert = (field[0] & 0x40) != 0 ? 0xff : 0;
  uint64_t x = 0;
  for (size_t i = 0; i < len; i++) {
    uint8_t digit = field[i] ^ invert;
    if (i == 0) digit &= 0x7f;  // the mark of this encoding
    if (x >> 56 != 0) return false;
    x = x << 8 | digit;
  }
  if (x >> 63 != 0) return false;
  *value = static_cast<int64_t>(invert != 0 ? ~x : x);
  return true;
}

}  // namespace

bool ParseTarOctal(const uint8_t* field, size_t len, int64_t* value) {
  while (len > 0 && IsPadding(field[0])) field++, len--;
  while (len > 0 && IsPadding(field[len - 1])) len--;
  uint64_t x = 0;
  for (size_t i = 0; i < len && field[i] != 0; i++) {
    if (field[i] < '0' || field[i] > '7' || x >> 61 != 0) return false;
    x = x << 3 | static_cast<uint64_t>(field[i] - '0');
  }
  *value = static_cast<int64_t>(x);
  return true;
}

bool ParseTarNumber(const uint8_t* field, size_t len, int64_t* value) {
  if (len > 0 && (field[0] & 0x80) != 0) {
    return ParseBase256(field, len, value);
  }
  return ParseTarOctal(field, len, value);
}

bool ParsePaxNumber(const uint8_t* text, size_t len, int64_t* value) {
  const bool negative = len > 0 && text[0] == '-';
  if (negative || (len > 0 && text[0] == '+')) text++, len--;
  if (len == 0) return false;
  const uint64_t limit = uint64_t{INT64_MAX} + (negative ? 1 : 0);
  uint64_t x = 0;
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    const uint64_t digit = static_cast<uint64_t>(text[i] - '0');
    if (x > (limit - digit) / 10) return false;
    x = x * 10 + digit;
  }
  *value = static_cast<int64_t>(negative ? 0 - x : x);
  return true;
}

}  // namespace soci
