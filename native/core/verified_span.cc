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

namespace {

// A span on its way: its stored bytes once they are there, and how much of them
// was hashed.
struct Passage {
  VerifiedSpan::Call* call;
  const uint8_t* bytes = nullptr;
  Sha256 hash;
  size_t hashed;

  // Bytes are hashed as they are read, or are left to HashBoth.
  Passage(VerifiedSpan::Call* decode, bool hash_now) : call(decode) {
    const VerifiedSpan& span = *call->span;
    hashed = span.checked ? span.digest_offset : span.stored.size();
    if (hashed > span.stored.size()) {
      call->status = Status::At(Code::kMisuse, span.stored.size());
      return;
    }
    const StoredHash now{hash_now && span.checked ? &hash : nullptr, hashed};
    call->status = span.stored.Load(call->room, now, call->abort, &bytes);
    if (hash_now) hashed = span.stored.size();
  }

  bool ok() const { return call->status.ok(); }
  bool gzip() const { return call->span->codec == SpanCodec::kGzip; }

  // The next bytes to be hashed; false if there are none, or no longer.
  bool NextPiece(Sha256::Piece* piece) {
    const size_t size = call->span->stored.size();
    if (!ok() || hashed == size) return false;
    if (Raised(call->abort)) {
      call->status = Status::At(Code::kAborted, hashed);
      return false;
    }
    *piece = {&hash, bytes + hashed, std::min(kStep, size - hashed)};
    hashed += piece->len;
    return true;
  }

  void Compare() {
    const VerifiedSpan& span = *call->span;
    if (!ok() || !span.checked) return;
    uint8_t found[Sha256::kDigestSize];
    hash.Final(found);
    if (std::memcmp(found, span.digest, sizeof found) != 0) {
      call->status = Status::At(Code::kDigest, span.digest_offset);
    }
  }

  SpanCall Decoding() const {
    return {&call->span->start,
            bytes,
            call->span->stored.size(),
            call->out,
            call->out_len,
            call->abort,
            {}};
  }
  void Decode() {
    const VerifiedSpan& span = *call->span;
    const size_t size = span.stored.size();
    if (gzip()) {
      call->status = DecodeSpan(span.start, bytes, size, call->out,
                                call->out_len, call->abort);
    } else if (size < call->out_len) {
      call->status = Status::At(Code::kOutputLength, size);
    } else if (call->out_len > 0) {
      std::memcpy(call->out, bytes, call->out_len);
    }
  }
};

void HashBoth(Passage* a, Passage* b) {
  for (;;) {
    Sha256::Piece pieces[2];
    size_t found = 0;
    for (Passage* passage : {a, b}) {
      found += passage->NextPiece(&pieces[found]) ? 1 : 0;
    }
    if (found == 0) return;
    Sha256::UpdateEach(pieces, found);
  }
}

}  // namespace

Status VerifiedSpan::Decode(uint8_t* room, uint8_t* out, size_t out_len,
                            const std::atomic<bool>* abort) const {
  Call call = {this, room, out, out_len, abort, {}};
  Passage passage(&call, true);
  passage.Compare();
  if (passage.ok()) passage.Decode();
  return call.status;
}

void VerifiedSpan::DecodePair(Call* a, Call* b) {
  Passage first(a, false);
  Passage second(b, false);
  HashBoth(&first, &second);
  first.Compare();
  second.Compare();
  if (first.ok() && second.ok() && first.gzip() && second.gzip()) {
    SpanCall one = first.Decoding();
    SpanCall other = second.Decoding();
    DecodeSpanPair(&one, &other);
    a->status = one.status;
    b->status = other.status;
    return;
  }
  for (Passage* passage : {&first, &second}) {
    if (passage->ok()) passage->Decode();
  }
}

}  // namespace soci
