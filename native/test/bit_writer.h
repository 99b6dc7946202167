// Writes DEFLATE streams by hand (RFC 1951 §3.1.1: numbers from their lowest
// bit, code words from their highest), sound ones and others.
#pragma once

#include "check.h"

namespace soci::test {

class BitWriter {
 public:
  BitWriter& Bits(unsigned value, unsigned count) {
    for (unsigned i = 0; i < count; i++) Bit(i < 32 ? value >> i & 1 : 0);
    return *this;
  }
  BitWriter& Word(unsigned code, unsigned count) {
    while (count-- > 0) Bit(code >> count & 1);
    return *this;
  }
  BitWriter& Align() {
    while (used_ % 8 != 0) Bit(0);
    return *this;
  }
  BitWriter& Header(bool final_block, unsigned type) {
    return Bits(final_block, 1).Bits(type, 2);
  }
  // Symbols of the fixed codes, §3.2.6.
  BitWriter& Fixed(unsigned symbol) {
    if (symbol < 144) return Word(0x30 + symbol, 8);
    if (symbol < 256) return Word(0x190 + symbol - 144, 9);
    if (symbol < 280) return Word(symbol - 256, 7);
    return Word(0xc0 + symbol - 280, 8);
  }
  BitWriter& FixedMatch(unsigned length, unsigned distance) {
    unsigned symbol = 257, base = 3, extra = 0;
    for (;; symbol++) {
      extra = symbol < 265 || symbol == 285 ? 0 : (symbol - 261) / 4;
      const unsigned next = symbol == 284 ? 258 : base + (1u << extra);
      if (length < next || symbol == 285) break;
      base = next;
    }
    Fixed(symbol).Bits(length - base, extra);
    symbol = 0, base = 1, extra = 0;
    for (;; symbol++) {
      extra = symbol < 4 ? 0 : symbol / 2 - 1;
      if (distance < base + (1u << extra)) break;
      base += 1u << extra;
    }
    return Word(symbol, 5).Bits(distance - base, extra);
  }
  // A dynamic header (§3.2.7) whose precode gives the lengths 0..15 four bits
  // each, so that any code can be described.
  BitWriter& Dynamic(const Bytes& litlen, const Bytes& distance,
                     bool final_block = true) {
    Header(final_block, 2);
    Bits(static_cast<unsigned>(litlen.size() - 257), 5);
    Bits(static_cast<unsigned>(distance.size() - 1), 5);
    Bits(19 - 4, 4);
    for (unsigned i = 0; i < 19; i++) Bits(i < 3 ? 0 : 4, 3);
    for (const Bytes* lengths : {&litlen, &distance})
      for (const uint8_t length : *lengths) Word(length, 4);
    return *this;
  }
  Bytes Take() { return bytes_; }

 private:
  void Bit(unsigned bit) {
    if (used_ % 8 == 0) bytes_.push_back(0);
    bytes_.back() |= static_cast<uint8_t>(bit << used_++ % 8);
  }
  Bytes bytes_;
  size_t used_ = 0;
};

}  // namespace soci::test
