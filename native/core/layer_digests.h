// The digests of a layer as it is stored: of the layer itself and of every
// span's compressed bytes. Span k covers [in(k) - (bits(k) ? 1 : 0), in(k+1)):
// where a checkpoint lies inside a byte, that byte belongs to the span before
// and to the one after. The last span reaches to the layer's end, trailer
// included.
//
// The same bytes go into two hashes, at different places of their blocks, so
// they are hashed in pairs, which is nearly twice as fast as one by one.
//
// Thread safety: none; an Add may run on another thread than the last.
#pragma once

#include <cstddef>
#include <cstdint>

#include "growable_buffer.h"
#include "sha256.h"
#include "span_cuts.h"
#include "status.h"

namespace soci {

class LayerDigests {
 public:
  // The next bytes of the layer, and the cuts that were found in them: in
  // order, each in front of, inside or behind these bytes. What lies before the
  // first cut belongs to no span. kNoMemory, also in every later call.
  Status Add(const uint8_t* data, size_t len, const SpanCuts& cuts);

  // The layer ends, and with it the last span. kNoMemory.
  Status Finish();

  // 32 bytes per finished span.
  const GrowableBuffer& span_digests() const { return span_digests_; }
  // 32 bytes, valid after Finish.
  const uint8_t* layer_digest() const { return layer_digest_; }

 private:
  void Hash(const uint8_t* data, size_t len);
  Status EndSpan();

  Sha256 layer_hash_;
  Sha256 span_hash_;
  GrowableBuffer span_digests_;
  Status failure_;
  uint64_t offset_ = 0;  // bytes of the layer so far
  bool in_span_ = false;
  uint8_t last_byte_ = 0;
  uint8_t layer_digest_[Sha256::kDigestSize] = {};
};

}  // namespace soci
