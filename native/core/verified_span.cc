#include "verified_span.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace soci {
namespace {

// Between two looks at the flag, and of one pread: bytes are hashed while they
// are still in the processor's cache.
constexpr size_t kStep = size_t{256} << 10;

bool Raised(const std::atomic<bool>* abort) {
  return abort != nullptr && abort->load(std::memory_order_relaxed);
}

int64_t ModifiedNs(const struct stat& file) {
#ifdef __APPLE__
  const timespec& modified = file.st_mtimespec;
#else
  const timespec& modified = file.st_mtim;
#endif
  return int64_t{modified.tv_sec} * 1000000000 + modified.tv_nsec;
}

}  // namespace

StoredBytes StoredBytes::InMemory(const uint8_t* data, size_t size) {
  StoredBytes stored;
  stored.data_ = data;
  stored.size_ = size;
  return stored;
}

StoredBytes StoredBytes::InFile(int fd, uint64_t offset, size_t size,
                                const std::optional<FileIdentity>& was) {
  StoredBytes stored;
  stored.fd_ = fd;
  stored.offset_ = offset;
  stored.size_ = size;
  stored.was_ = was;
  return stored;
}

Status StoredBytes::Load(uint8_t* room, const StoredHash& hash,
                         const std::atomic<bool>* abort,
                         const uint8_t** bytes) const {
  *bytes = data_ == nullptr ? room : data_;
  if (data_ != nullptr && hash.hash == nullptr) return Status::Ok();
  size_t at = 0;
  while (at < size_) {
    if (Raised(abort)) return Status::At(Code::kAborted, at);
    size_t count = std::min(kStep, size_ - at);
    if (data_ == nullptr) {
      const Status status = Read(room, count, at, &count);
      if (!status.ok()) return status;
      if (count == 0) break;
    }
    const size_t end = at + count;
    const size_t from = std::max(at, hash.offset);
    if (hash.hash != nullptr && from < end) {
      hash.hash->Update(*bytes + from, end - from);
    }
    at = end;
  }
  const Status unchanged = CheckUnchanged(at);
  if (!unchanged.ok() || at == size_) return unchanged;
  return Status::At(Code::kInputShort, at);
}

// At most `size` bytes from `at` on; *count is 0 at the end of the file.
Status StoredBytes::Read(uint8_t* room, size_t size, size_t at,
                         size_t* count) const {
  ssize_t got = 0;
  do {
    got = pread(fd_, room + at, size, static_cast<off_t>(offset_ + at));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return Status::System(Code::kInputRead, errno, at);
  *count = static_cast<size_t>(got);
  return Status::Ok();
}

Status StoredBytes::CheckUnchanged(size_t at) const {
  if (!was_.has_value()) return Status::Ok();
  struct stat now;
  if (fstat(fd_, &now) != 0) return Status::System(Code::kInputRead, errno, at);
  const bool same =
      static_cast<uint64_t>(now.st_size) == was_->size &&
      static_cast<uint64_t>(now.st_ino) == was_->inode &&
      was_->modified_ns.value_or(ModifiedNs(now)) == ModifiedNs(now);
  return same ? Status::Ok() : Status::At(Code::kInputChanged, at);
}

Status VerifiedSpan::Decode(uint8_t* room, uint8_t* out, size_t out_len,
                            const std::atomic<bool>* abort) const {
  if (checked && digest_offset > stored.size()) {
    return Status::At(Code::kMisuse, stored.size());
  }
  const uint8_t* bytes = nullptr;
  Sha256 hash;
  const StoredHash hashed{checked ? &hash : nullptr, digest_offset};
  const Status status = stored.Load(room, hashed, abort, &bytes);
  if (!status.ok()) return status;
  if (checked) {
    uint8_t found[Sha256::kDigestSize];
    hash.Final(found);
    if (std::memcmp(found, digest, sizeof found) != 0) {
      return Status::At(Code::kDigest, digest_offset);
    }
  }
  if (codec == SpanCodec::kGzip) {
    return DecodeSpan(start, bytes, stored.size(), out, out_len, abort);
  }
  if (stored.size() < out_len) {
    return Status::At(Code::kOutputLength, stored.size());
  }
  if (out_len > 0) std::memcpy(out, bytes, out_len);
  return Status::Ok();
}

}  // namespace soci
