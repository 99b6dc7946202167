#include "layer_digests.h"

namespace soci {
namespace {

// Large against the ends that are hashed alone, and still in the first cache.
constexpr size_t kMaxPending = 32768;

}  // namespace

void LayerDigests::AddInput(const uint8_t* data, size_t len) {
  if (len == 0) return;
  if (input_.len == 0) input_.data = data;
  input_.len += len;
  last_byte_ = data[len - 1];
  if (input_.len >= kMaxPending) Flush();
}

void LayerDigests::AddOutput(const uint8_t* data, size_t len) {
  if (!diff_id_) return;
  if (output_.len == 0) output_.data = data;
  output_.len += len;
  if (output_.len >= kMaxPending) Flush();
}

void LayerDigests::Flush() {
  Sha256::Piece pieces[] = {
      {&layer_hash_, input_.data, input_.len},
      {&span_hash_, input_.data, in_span_ ? input_.len : 0},
      {&output_hash_, output_.data, output_.len},
  };
  Sha256::UpdateEach(pieces, 3);
  input_ = Pending();
  output_ = Pending();
}

Status LayerDigests::Cut(bool share_last_byte) {
  const Status status = EndSpan();
  if (!status.ok()) return status;
  in_span_ = true;
  RestartSpan(share_last_byte);
  return Status::Ok();
}

void LayerDigests::RestartSpan(bool share_last_byte) {
  Flush();
  span_hash_.Reset();
  if (share_last_byte) span_hash_.Update(&last_byte_, 1);
}

Status LayerDigests::Finish() {
  const Status status = EndSpan();
  if (!status.ok()) return status;
  in_span_ = false;
  layer_hash_.Final(layer_digest_);
  output_hash_.Final(output_digest_);
  return Status::Ok();
}

// Flushes too: what is pending belongs to the span.
Status LayerDigests::EndSpan() {
  Flush();
  if (!in_span_) return Status::Ok();
  uint8_t* digest = span_digests_.Extend(Sha256::kDigestSize);
  if (digest == nullptr) return Status::At(Code::kNoMemory, 0);
  span_hash_.Final(digest);
  return Status::Ok();
}

}  // namespace soci
