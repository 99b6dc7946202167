// Bits of memory that lies there whole, lowest first (RFC 1951 §3.1.1), from
// any position on. What FastInflater's cursor does for input that comes in
// pieces; where all of it is there, positions are enough and nothing pauses.
// Behind the end there are zeros, and `overrun` tells.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bytes.h"

namespace soci {

class BitReader {
 public:
  // `position` is in bits and at most 8 * size.
  BitReader(const uint8_t* data, size_t size, uint64_t position)
      : data_(data), end_(data + size) {
    Seek(position);
  }

  void Seek(uint64_t position) {
    in_ = data_ + position / 8;
    hold_ = 0;
    bits_ = 0;
    Drop(position & 7);
  }

  // The next `count` bits, at most 32.
  uint32_t Peek(unsigned count) {
    if (bits_ < count) Refill();
    return static_cast<uint32_t>(hold_ & ((uint64_t{1} << count) - 1));
  }
  void Drop(unsigned count) {
    if (bits_ < count) Refill();
    hold_ >>= count;
    bits_ -= count;
  }
  uint32_t Take(unsigned count) {
    const uint32_t value = Peek(count);
    Drop(count);
    return value;
  }
  void SkipToByte() { Drop(bits_ & 7); }

  // In bits, as if there were zeros behind the end.
  uint64_t position() const {
    return (static_cast<uint64_t>(in_ - data_) + past_end_) * 8 - bits_;
  }
  bool overrun() const {
    return position() > static_cast<uint64_t>(end_ - data_) * 8;
  }

 private:
  // Afterwards there are at least 56 bits.
  void Refill() {
    if (end_ - in_ >= 8) {
      hold_ |= LoadLe64(in_) << bits_;
      in_ += (63 - bits_) >> 3;
      bits_ |= 56;
      hold_ &= (uint64_t{1} << bits_) - 1;
      return;
    }
    for (; bits_ < 56; bits_ += 8) {
      if (in_ == end_) {
        past_end_++;
      } else {
        hold_ |= uint64_t{*in_++} << bits_;
      }
    }
  }

  const uint8_t* const data_;
  const uint8_t* const end_;
  const uint8_t* in_;
  uint64_t past_end_ = 0;  // bytes of zeros that were taken
  uint64_t hold_;
  unsigned bits_;
};

}  // namespace soci
