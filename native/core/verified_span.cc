#include "verified_span.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace soci {
namespace {

constexpr size_t kHashStep = 65536;            // between two looks at the flag
constexpr size_t kReadStep = size_t{1} << 20;  // of one pread

bool Raised(const std::atomic<bool>* abort) {
  return abort != nullptr && abort->load(std::memory_order_relaxed);
}

}  // namespace

StoredBytes StoredBytes::InMemory(const uint8_t* data, size_t size) {
  StoredBytes stored;
  stored.data_ = data;
  stored.size_ = size;
  return stored;
}

StoredBytes StoredBytes::InFile(int fd, uint64_t offset, size_t size) {
  StoredBytes stored;
  stored.fd_ = fd;
  stored.offset_ = offset;
  stored.size_ = size;
  return stored;
}

Status StoredBytes::Load(uint8_t* room, const std::atomic<bool>* abort,
                         const uint8_t** bytes) const {
  *bytes = data_ == nullptr ? room : data_;
  if (data_ != nullptr) return Status::Ok();
  for (size_t at = 0; at < size_;) {
    if (Raised(abort)) return Status::At(Code::kAborted, at);
    const ssize_t count = pread(fd_, room + at, std::min(kReadStep, size_ - at),
                                static_cast<off_t>(offset_ + at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Status::System(Code::kInputRead, errno, at);
    if (count == 0) return Status::At(Code::kInputShort, at);
    at += static_cast<size_t>(count);
  }
  return Status::Ok();
}

Status VerifiedSpan::Decode(uint8_t* room, uint8_t* out, size_t out_len,
                            const std::atomic<bool>* abort) const {
  const uint8_t* bytes = nullptr;
  Status status = stored.Load(room, abort, &bytes);
  if (status.ok() && checked) status = Check(bytes, abort);
  if (!status.ok()) return status;
  if (codec == SpanCodec::kGzip) {
    return DecodeSpan(start, bytes, stored.size(), out, out_len, abort);
  }
  if (stored.size() < out_len) {
    return Status::At(Code::kOutputLength, stored.size());
  }
  if (out_len > 0) std::memcpy(out, bytes, out_len);
  return Status::Ok();
}

Status VerifiedSpan::Check(const uint8_t* bytes,
                           const std::atomic<bool>* abort) const {
  if (digest_offset > stored.size()) {
    return Status::At(Code::kMisuse, stored.size());
  }
  Sha256 hash;
  for (size_t at = digest_offset; at < stored.size();) {
    if (Raised(abort)) return Status::At(Code::kAborted, at);
    const size_t step = std::min(kHashStep, stored.size() - at);
    hash.Update(bytes + at, step);
    at += step;
  }
  uint8_t found[Sha256::kDigestSize];
  hash.Final(found);
  return std::memcmp(found, digest, sizeof found) == 0
             ? Status::Ok()
             : Status::At(Code::kDigest, digest_offset);
}

}  // namespace soci
