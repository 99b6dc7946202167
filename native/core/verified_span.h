// The one way from the stored bytes of a span to its bytes of the tar stream:
// read, checked against the digest, decoded. Nothing is decoded, and nothing
// copied, of bytes whose digest is wrong.
//
// Thread safety: none per object; different objects are independent.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "sha256.h"
#include "span_decoder.h"
#include "status.h"

namespace soci {

// What a file was when it was opened. One that is written in place has another
// size or time of modification afterwards.
struct FileIdentity {
  uint64_t size = 0;
  uint64_t inode = 0;
  std::optional<int64_t> modified_ns;  // unset where it means something else
};

// The hash that stored bytes from an offset on are to go through.
struct StoredHash {
  Sha256* hash = nullptr;  // nullptr: none
  size_t offset = 0;
};

// Where the stored bytes are: in memory, or in a file that pread can read.
class StoredBytes {
 public:
  // `data` must not change while it is used: what was hashed is decoded.
  static StoredBytes InMemory(const uint8_t* data, size_t size);
  // Reading past the end of the file is kInputShort. A file that is not `was`
  // any more when it was read is kInputChanged.
  static StoredBytes InFile(int fd, uint64_t offset, size_t size,
                            const std::optional<FileIdentity>& was = {});

  size_t size() const { return size_; }
  // How much room `Load` needs.
  size_t room() const { return data_ == nullptr ? size_ : 0; }

  // Afterwards *bytes points to size() bytes: the memory itself, or `room`
  // filled from the file, and went through `hash`. kInputShort with how much
  // there was, kInputRead with the error of the system, kInputChanged;
  // kAborted.
  Status Load(uint8_t* room, const StoredHash& hash,
              const std::atomic<bool>* abort, const uint8_t** bytes) const;

 private:
  Status Read(uint8_t* room, size_t size, size_t at, size_t* count) const;
  Status CheckUnchanged(size_t at) const;

  const uint8_t* data_ = nullptr;
  int fd_ = -1;
  uint64_t offset_ = 0;
  size_t size_ = 0;
  std::optional<FileIdentity> was_;
};

enum class SpanCodec : uint8_t {
  kGzip,  // DEFLATE data, from a checkpoint or from a member's header
  kRaw,   // as it is in the tar stream
};

struct VerifiedSpan {
  SpanCodec codec = SpanCodec::kGzip;
  SpanDecoder::Options start;  // kGzip only
  StoredBytes stored;
  // Whether `digest` is the SHA-256 of the stored bytes from digest_offset on,
  // and must be. A span that starts before a member's header is preceded by
  // bytes that its digest does not cover.
  bool checked = false;
  uint8_t digest[Sha256::kDigestSize] = {};
  size_t digest_offset = 0;  // at most stored.size()

  // Fills `out` exactly. `room` has stored.room() bytes, and does not overlap
  // `out`. `abort` may be nullptr and is polled every 256 KiB.
  //
  // As StoredBytes::Load, then kDigest, then as DecodeSpan; with kRaw,
  // kOutputLength if there are fewer stored bytes than `out_len`.
  Status Decode(uint8_t* room, uint8_t* out, size_t out_len,
                const std::atomic<bool>* abort) const;

  // The arguments of Decode, and what came of it.
  struct Call {
    const VerifiedSpan* span;
    uint8_t* room;
    uint8_t* out;
    size_t out_len;
    const std::atomic<bool>* abort;
    Status status;
  };
  // Decodes two spans at once on this thread, which takes less time than one
  // after the other: both are hashed in turns, and both are decoded in turns.
  // Each gets what Decode says of it alone; what becomes of one does not touch
  // the other. Neither is there before both are. Rooms and outputs do not
  // overlap.
  static void DecodePair(Call* a, Call* b);
};

}  // namespace soci
