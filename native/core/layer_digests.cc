#include "layer_digests.h"

namespace soci {

Status LayerDigests::Add(const uint8_t* data, size_t len,
                         const SpanCuts& cuts) {
  if (!failure_.ok()) return failure_;
  const uint8_t* const end = data + len;
  for (const SpanCut& cut : cuts) {
    const size_t before = static_cast<size_t>(cut.in - offset_);
    Hash(data, before);
    data += before;
    if (!cut.replaces) {
      failure_ = EndSpan();
      if (!failure_.ok()) return failure_;
    }
    in_span_ = true;
    span_hash_.Reset();
    if (cut.shares_byte) span_hash_.Update(&last_byte_, 1);
  }
  Hash(data, static_cast<size_t>(end - data));
  return Status::Ok();
}

Status LayerDigests::Finish() {
  if (failure_.ok()) failure_ = EndSpan();
  if (!failure_.ok()) return failure_;
  in_span_ = false;
  layer_hash_.Final(layer_digest_);
  return Status::Ok();
}

void LayerDigests::Hash(const uint8_t* data, size_t len) {
  if (len == 0) return;
  Sha256::Piece pieces[] = {
      {&layer_hash_, data, len},
      {&span_hash_, data, in_span_ ? len : 0},
  };
  Sha256::UpdateEach(pieces, 2);
  offset_ += len;
  last_byte_ = data[len - 1];
}

Status LayerDigests::EndSpan() {
  if (!in_span_) return Status::Ok();
  uint8_t* digest = span_digests_.Extend(Sha256::kDigestSize);
  if (digest == nullptr) return Status::At(Code::kNoMemory, offset_);
  span_hash_.Final(digest);
  return Status::Ok();
}

}  // namespace soci
