// What RFC 1952 wraps around a DEFLATE stream: the member header and the eight
// bytes behind it. Both are push parsers that take input in any chunking, for
// a header may lie across chunks of a layer or across spans, and its optional
// fields have no bound. Nothing is kept of name, comment and extra field.
//
// Thread safety: none; each object belongs to one stream at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace soci {

class GzipHeader {
 public:
  // Forgets everything; the next byte fed is a member's first.
  void Reset() { *this = GzipHeader(); }

  // Takes bytes up to the end of the header at most; `*consumed` says how many.
  // kGzipHeader for a wrong magic, a method other than deflate, reserved flags
  // or a header CRC that differs; its offset counts from the member's start.
  Status Feed(const uint8_t* in, size_t len, size_t* consumed);

  bool done() const { return field_ == Field::kDone; }
  // Bytes taken so far: once done, where the DEFLATE stream starts.
  uint64_t size() const { return size_; }
  // The first three bytes were those of a gzip member. If not, what follows a
  // member is trailing data rather than a broken member.
  bool recognized() const { return size_ >= kFixedStart; }

 private:
  enum class Field : uint8_t {
    kFixed,  // the ten bytes that every header has
    kExtraLength,
    kExtra,
    kName,
    kComment,
    kHeaderCrc,
    kDone,
  };
  static constexpr uint64_t kFixedStart = 3;  // ID1 ID2 CM

  Status TakeFixedByte(uint8_t byte);
  void NextField();

  Field field_ = Field::kFixed;
  uint8_t flags_ = 0;
  uint8_t field_bytes_ = 0;  // taken of a field of fixed length
  uint16_t extra_left_ = 0;  // of the extra field
  uint16_t stored_crc_ = 0;  // FHCRC: the low half of the header's CRC-32
  uint32_t crc_ = 0;         // of the header up to FHCRC
  uint64_t size_ = 0;
};

class GzipTrailer {
 public:
  static constexpr size_t kSize = 8;

  void Reset() { taken_ = 0; }

  // Takes what is missing of the eight bytes; returns how many it took.
  size_t Feed(const uint8_t* in, size_t len);

  bool done() const { return taken_ == kSize; }
  // Valid once done: the CRC-32 of the member's data and its length mod 2^32.
  uint32_t crc32() const;
  uint32_t isize() const;

 private:
  uint8_t bytes_[kSize];
  size_t taken_ = 0;
};

}  // namespace soci
