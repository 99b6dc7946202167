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

namespace {

// A span on its way: its stored bytes once they are there, and how much of them
// was hashed.
struct Passage {
  VerifiedSpan::Call* call;
  const uint8_t* bytes = nullptr;
  Sha256 hash;
  size_t hashed = 0;

  explicit Passage(VerifiedSpan::Call* decode) : call(decode) {
    const VerifiedSpan& span = *call->span;
    call->status = span.stored.Load(call->room, call->abort, &bytes);
    if (call->status.ok() && span.checked &&
        span.digest_offset > span.stored.size()) {
      call->status = Status::At(Code::kMisuse, span.stored.size());
    }
    hashed = span.checked ? span.digest_offset : span.stored.size();
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
    *piece = {&hash, bytes + hashed, std::min(kHashStep, size - hashed)};
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

// Of one or two.
void HashAll(Passage* const* passages, size_t count) {
  for (;;) {
    Sha256::Piece pieces[2];
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
      found += passages[i]->NextPiece(&pieces[found]) ? 1 : 0;
    }
    if (found == 0) break;
    Sha256::UpdateEach(pieces, found);
  }
  for (size_t i = 0; i < count; i++) passages[i]->Compare();
}

}  // namespace

Status VerifiedSpan::Decode(uint8_t* room, uint8_t* out, size_t out_len,
                            const std::atomic<bool>* abort) const {
  Call call = {this, room, out, out_len, abort, {}};
  Passage passage(&call);
  Passage* const alone = &passage;
  HashAll(&alone, 1);
  if (passage.ok()) passage.Decode();
  return call.status;
}

void VerifiedSpan::DecodePair(Call* a, Call* b) {
  Passage first(a);
  Passage second(b);
  Passage* const both[] = {&first, &second};
  HashAll(both, 2);
  if (first.ok() && second.ok() && first.gzip() && second.gzip()) {
    SpanCall one = first.Decoding();
    SpanCall other = second.Decoding();
    DecodeSpanPair(&one, &other);
    a->status = one.status;
    b->status = other.status;
    return;
  }
  for (Passage* passage : both) {
    if (passage->ok()) passage->Decode();
  }
}

}  // namespace soci
