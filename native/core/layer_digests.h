// The digests of a layer, taken while it streams by: of the layer itself, of
// every span's compressed bytes and, on request, of the uncompressed stream
// (diffID). Span k covers [in(k) - (bits(k) ? 1 : 0), in(k+1)): where a
// checkpoint lies inside a byte, that byte belongs to the span before and to
// the one after. The last span reaches to the layer's end, trailer included.
//
// The same bytes go into two hashes, at different places of their blocks, so
// they are hashed in pairs, which is nearly twice as fast as one by one. What
// is fed is only noted until enough is there for pairs to pay, however small
// the blocks of the stream are.
#pragma once

#include <cstddef>
#include <cstdint>

#include "growable_buffer.h"
#include "sha256.h"
#include "status.h"

namespace soci {

class LayerDigests {
 public:
  // Before anything else: whether AddOutput does something.
  void set_diff_id(bool diff_id) { diff_id_ = diff_id; }

  // Bytes of the layer, in order. Before the first Cut they belong to no span.
  // Borrowed until Flush; the next ones lie behind them in memory until then.
  void AddInput(const uint8_t* data, size_t len);
  // The same for bytes of the uncompressed stream.
  void AddOutput(const uint8_t* data, size_t len);
  // Nothing is borrowed any more.
  void Flush();

  // A span starts here: with the next byte or, if `share_last_byte`, with the
  // last one of those already seen. Ends the span before, if any. kNoMemory.
  Status Cut(bool share_last_byte);

  // The current span starts anew, as if it had been cut only here.
  void RestartSpan(bool share_last_byte);

  // The layer ends, and with it the last span. kNoMemory.
  Status Finish();

  // 32 bytes per finished span.
  const GrowableBuffer& span_digests() const { return span_digests_; }
  // 32 bytes each, valid after Finish.
  const uint8_t* layer_digest() const { return layer_digest_; }
  const uint8_t* output_digest() const { return output_digest_; }

 private:
  struct Pending {
    const uint8_t* data = nullptr;
    size_t len = 0;
  };

  Status EndSpan();

  Pending input_;
  Pending output_;
  Sha256 layer_hash_;
  Sha256 span_hash_;
  Sha256 output_hash_;
  GrowableBuffer span_digests_;
  bool diff_id_ = false;
  bool in_span_ = false;
  uint8_t last_byte_ = 0;
  uint8_t layer_digest_[Sha256::kDigestSize] = {};
  uint8_t output_digest_[Sha256::kDigestSize] = {};
};

}  // namespace soci
