#include "checkpoint.h"

#include <climits>
#include <cstring>

#include "bytes.h"

namespace soci {
namespace {

// Offsets within a record.
constexpr size_t kIn = 0;
constexpr size_t kOut = 8;
constexpr size_t kBits = 16;
constexpr size_t kWindow = 17;

constexpr size_t kSpanSizeAt = 4;
constexpr uint64_t kMaxOffset = INT64_MAX;  // the blob's numbers are signed

constexpr uint8_t kZeroWindow[kWindowSize] = {};

bool IsImpliedFirst(const Checkpoint& first) {
  return first.in == CheckpointList::kImpliedFirst.in && first.out == 0 &&
         first.bits == 0 &&
         std::memcmp(first.window, kZeroWindow, kWindowSize) == 0;
}

}  // namespace

size_t CheckpointList::size() const { return records_.size() / kRecordSize; }

Checkpoint CheckpointList::operator[](size_t index) const {
  const uint8_t* record = records_.data() + index * kRecordSize;
  Checkpoint checkpoint;
  checkpoint.in = LoadLe64(record + kIn);
  checkpoint.out = LoadLe64(record + kOut);
  checkpoint.bits = record[kBits];
  checkpoint.window = record + kWindow;
  return checkpoint;
}

Status CheckpointList::Append(const CheckpointPosition& position,
                              const uint8_t* window) {
  if (size() == INT32_MAX) return Status::At(Code::kLimit, position.in);
  uint8_t* record = records_.Extend(kRecordSize);
  if (record == nullptr) return Status::At(Code::kNoMemory, position.in);
  StoreLe64(record + kIn, position.in);
  StoreLe64(record + kOut, position.out);
  record[kBits] = position.bits;
  std::memcpy(record + kWindow, window, kWindowSize);
  return Status::Ok();
}

void CheckpointList::RemoveLast() {
  records_.Truncate(records_.size() - kRecordSize);
}

void CheckpointList::Clear() { records_.Reset(); }

Status CheckpointList::Parse(const uint8_t* blob, size_t len,
                             Version* version) {
  Clear();
  if (len < kHeaderSize) return Status::At(Code::kCheckpointBlob, len);
  const uint32_t count = LoadLe32(blob);
  if (count == 0 || count > INT32_MAX) {
    return Status::At(Code::kCheckpointBlob, 0);
  }
  const uint64_t present = (len - kHeaderSize) / kRecordSize;
  if ((len - kHeaderSize) % kRecordSize != 0 ||
      (present != count && present != count - 1)) {
    return Status::At(Code::kCheckpointBlob, len);
  }
  span_size_ = LoadLe64(blob + kSpanSizeAt);
  if (span_size_ > kMaxOffset) {
    return Status::At(Code::kCheckpointBlob, kSpanSizeAt);
  }
  *version = present == count ? Version::kV2 : Version::kV1;

  if (*version == Version::kV1) {
    const Status status = Append(kImpliedFirst, kZeroWindow);
    if (!status.ok()) return status;
  }
  if (!records_.Append(blob + kHeaderSize, len - kHeaderSize)) {
    Clear();
    return Status::At(Code::kNoMemory, 0);
  }
  for (size_t i = 0; i < size(); i++) {
    const Checkpoint here = (*this)[i];
    bool possible = here.in <= kMaxOffset && here.out <= kMaxOffset &&
                    here.bits <= 7 && here.in > 0;
    if (i > 0) {
      const Checkpoint before = (*this)[i - 1];
      possible = possible && here.in > before.in && here.out >= before.out;
    }
    if (!possible) {
      const size_t skipped = *version == Version::kV1 ? 1 : 0;
      Clear();
      return Status::At(Code::kCheckpointBlob,
                        kHeaderSize + (i - skipped) * kRecordSize);
    }
  }
  return Status::Ok();
}

size_t CheckpointList::BlobSize(Version version) const {
  const size_t skipped = version == Version::kV1 ? kRecordSize : 0;
  return kHeaderSize + records_.size() - skipped;
}

void CheckpointList::Serialize(Version version, uint8_t* blob) const {
  const size_t skipped = version == Version::kV1 ? kRecordSize : 0;
  StoreLe32(blob, static_cast<uint32_t>(size()));
  StoreLe64(blob + kSpanSizeAt, span_size_);
  if (records_.size() > skipped) {
    std::memcpy(blob + kHeaderSize, records_.data() + skipped,
                records_.size() - skipped);
  }
}

bool CheckpointList::FitsV1() const {
  return size() > 0 && IsImpliedFirst((*this)[0]);
}

}  // namespace soci
