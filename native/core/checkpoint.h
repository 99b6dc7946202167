// The points at which a gzip stream can be entered, and the zinfo blob that a
// ztoc keeps them in: int32 LE count, int64 LE span size, then per checkpoint
// {int64 LE in, int64 LE out, uint8 bits, 32768 bytes of window}.
//
// Version 2 blobs hold every checkpoint. Version 1 leaves the first out and
// implies {in 10, out 0, bits 0, window of zeros}. Nothing but the length tells
// them apart.
#pragma once

#include <cstddef>
#include <cstdint>

#include "growable_buffer.h"
#include "inflater.h"
#include "status.h"

namespace soci {

// `in` bytes of the layer are consumed and `out` bytes of the tar stream are
// produced; `bits` (0..7) high bits of the last consumed byte are still unused.
struct CheckpointPosition {
  uint64_t in;
  uint64_t out;
  uint8_t bits;
};

struct Checkpoint : CheckpointPosition {
  // The kWindowSize bytes of output before it, oldest first, zeros where there
  // are fewer. Borrowed from the list, until the list changes.
  const uint8_t* window;
};

class CheckpointList {
 public:
  enum class Version : uint8_t { kV1 = 1, kV2 = 2 };

  static constexpr size_t kHeaderSize = 12;
  static constexpr size_t kRecordSize = 8 + 8 + 1 + kWindowSize;
  static constexpr CheckpointPosition kImpliedFirst = {10, 0, 0};

  size_t size() const;
  Checkpoint operator[](size_t index) const;
  uint64_t span_size() const { return span_size_; }
  void set_span_size(uint64_t span_size) { span_size_ = span_size; }

  // Copies the window. kNoMemory; kLimit if the format cannot count any more.
  Status Append(const CheckpointPosition& position, const uint8_t* window);
  // Forgets the last one; the list must not be empty.
  void RemoveLast();
  void Clear();

  // Replaces the list by that of a blob. kCheckpointBlob (at the offending
  // byte) unless the length is that of either version, there is at least one
  // checkpoint, `in` rises, `out` does not fall, and all values are possible.
  Status Parse(const uint8_t* blob, size_t len, Version* version);

  // Bytes of the blob, and the blob itself into that many bytes at `blob`.
  // The list must not be empty; for kV1 its first must be the implied one.
  size_t BlobSize(Version version) const;
  void Serialize(Version version, uint8_t* blob) const;
  bool FitsV1() const;

 private:
  GrowableBuffer records_;  // as in a version 2 blob, so that it is one copy
  uint64_t span_size_ = 0;
};

}  // namespace soci
