// The SHA-256 of every span's compressed bytes, taken while the layer streams
// by. Span k covers [in(k) - (bits(k) ? 1 : 0), in(k+1)): where a checkpoint
// lies inside a byte, that byte belongs to the span before and to the one
// after. The last span reaches to the layer's end, trailer included.
#pragma once

#include <cstddef>
#include <cstdint>

#include "growable_buffer.h"
#include "sha256.h"
#include "status.h"

namespace soci {

class SpanDigests {
 public:
  // Bytes of the layer, in order. Before the first Cut they belong to no span.
  void Update(const uint8_t* data, size_t len);

  // A span starts here: with the next byte or, if `share_last_byte`, with the
  // last one of those already seen. Ends the span before, if any. kNoMemory.
  Status Cut(bool share_last_byte);

  // The current span starts anew, as if it had been cut only here.
  void RestartSpan(bool share_last_byte);

  // The layer ends, and with it the last span. kNoMemory.
  Status Finish();

  // 32 bytes per finished span.
  const GrowableBuffer& digests() const { return digests_; }

 private:
  Status EndSpan();

  Sha256 hash_;
  GrowableBuffer digests_;
  bool in_span_ = false;
  uint8_t last_byte_ = 0;
};

}  // namespace soci
