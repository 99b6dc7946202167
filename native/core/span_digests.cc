#include "span_digests.h"

namespace soci {

void SpanDigests::Update(const uint8_t* data, size_t len) {
  if (len == 0) return;
  if (in_span_) hash_.Update(data, len);
  last_byte_ = data[len - 1];
}

Status SpanDigests::Cut(bool share_last_byte) {
  const Status status = EndSpan();
  if (!status.ok()) return status;
  in_span_ = true;
  RestartSpan(share_last_byte);
  return Status::Ok();
}

void SpanDigests::RestartSpan(bool share_last_byte) {
  hash_.Reset();
  if (share_last_byte) hash_.Update(&last_byte_, 1);
}

Status SpanDigests::Finish() {
  const Status status = EndSpan();
  in_span_ = false;
  return status;
}

Status SpanDigests::EndSpan() {
  if (!in_span_) return Status::Ok();
  uint8_t* digest = digests_.Extend(Sha256::kDigestSize);
  if (digest == nullptr) return Status::At(Code::kNoMemory, 0);
  hash_.Final(digest);
  return Status::Ok();
}

}  // namespace soci
