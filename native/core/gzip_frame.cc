#include "gzip_frame.h"

#include <algorithm>
#include <cstring>

#include "bytes.h"
#include "gzip_crc32.h"

namespace soci {
namespace {

// RFC 1952 §2.3.1
constexpr uint8_t kId1 = 0x1f;
constexpr uint8_t kId2 = 0x8b;
constexpr uint8_t kDeflate = 8;
constexpr uint8_t kFlagHeaderCrc = 1 << 1;
constexpr uint8_t kFlagExtra = 1 << 2;
constexpr uint8_t kFlagName = 1 << 3;
constexpr uint8_t kFlagComment = 1 << 4;
constexpr uint8_t kReservedFlags = 0xe0;  // "must be zero"
constexpr uint64_t kFixedSize = 10;
constexpr uint64_t kFlagsAt = 3;

}  // namespace

// Looks at the next of the ten fixed bytes. MTIME, XFL and OS say nothing that
// matters here.
Status GzipHeader::TakeFixedByte(uint8_t byte) {
  const bool valid = size_ == 0          ? byte == kId1
                     : size_ == 1        ? byte == kId2
                     : size_ == 2        ? byte == kDeflate
                     : size_ == kFlagsAt ? (byte & kReservedFlags) == 0
                                         : true;
  if (!valid) return Status::At(Code::kGzipHeader, size_);
  if (size_ == kFlagsAt) flags_ = byte;
  return Status::Ok();
}

// Moves to the next field that the flags announce.
void GzipHeader::NextField() {
  field_bytes_ = 0;
  switch (field_) {
    case Field::kFixed:
      field_ = Field::kExtraLength;
      if ((flags_ & kFlagExtra) != 0) return;
      [[fallthrough]];
    case Field::kExtraLength:
      field_ = Field::kExtra;
      if (extra_left_ > 0) return;
      [[fallthrough]];
    case Field::kExtra:
      field_ = Field::kName;
      if ((flags_ & kFlagName) != 0) return;
      [[fallthrough]];
    case Field::kName:
      field_ = Field::kComment;
      if ((flags_ & kFlagComment) != 0) return;
      [[fallthrough]];
    case Field::kComment:
      field_ = Field::kHeaderCrc;
      if ((flags_ & kFlagHeaderCrc) != 0) return;
      [[fallthrough]];
    case Field::kHeaderCrc:
    case Field::kDone:
      field_ = Field::kDone;
  }
}

Status GzipHeader::Feed(const uint8_t* in, size_t len, size_t* consumed) {
  *consumed = 0;
  while (*consumed < len && field_ != Field::kDone) {
    const uint8_t* at = in + *consumed;
    const size_t left = len - *consumed;
    const Field field = field_;
    size_t taken = 1;
    bool complete = true;
    switch (field) {
      case Field::kFixed: {
        const Status status = TakeFixedByte(*at);
        if (!status.ok()) return status;
        complete = size_ + 1 == kFixedSize;
        break;
      }
      case Field::kExtraLength:
        extra_left_ |= static_cast<uint16_t>(*at << (8 * field_bytes_));
        complete = ++field_bytes_ == 2;
        break;
      case Field::kExtra:
        taken = std::min<size_t>(left, extra_left_);
        extra_left_ = static_cast<uint16_t>(extra_left_ - taken);
        complete = extra_left_ == 0;
        break;
      case Field::kName:
      case Field::kComment: {
        const void* end = std::memchr(at, 0, left);
        complete = end != nullptr;
        taken =
            complete
                ? static_cast<size_t>(static_cast<const uint8_t*>(end) - at) + 1
                : left;
        break;
      }
      case Field::kHeaderCrc:
        stored_crc_ |= static_cast<uint16_t>(*at << (8 * field_bytes_));
        complete = ++field_bytes_ == 2;
        if (complete && stored_crc_ != (crc_ & 0xffff)) {
          return Status::At(Code::kGzipHeader, size_ - 1);
        }
        break;
      case Field::kDone:
        break;
    }
    if (field != Field::kHeaderCrc) crc_ = Crc32(crc_, at, taken);
    *consumed += taken;
    size_ += taken;
    if (complete) NextField();
  }
  return Status::Ok();
}

size_t GzipTrailer::Feed(const uint8_t* in, size_t len) {
  const size_t taken = std::min(len, kSize - taken_);
  if (taken > 0) std::memcpy(bytes_ + taken_, in, taken);
  taken_ += taken;
  return taken;
}

uint32_t GzipTrailer::crc32() const { return LoadLe32(bytes_); }
uint32_t GzipTrailer::isize() const { return LoadLe32(bytes_ + 4); }

}  // namespace soci
