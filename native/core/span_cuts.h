// Where the spans of a layer begin, as a scan finds them: what hashing the
// spans needs to know of it. Noted rather than acted on, so that the bytes can
// be hashed later, by another thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "growable_buffer.h"

namespace soci {

struct SpanCut {
  uint64_t in;  // bytes of the layer before the span, as in its checkpoint
  // The checkpoint lies inside a byte, the one before `in`, which belongs to
  // the span before and to this one.
  bool shares_byte;
  bool replaces;  // the last span starts anew, as if it had been cut only here
};

class SpanCuts {
 public:
  // False when memory is short.
  [[nodiscard]] bool Append(const SpanCut& cut) {
    return cuts_.Append(reinterpret_cast<const uint8_t*>(&cut), sizeof cut);
  }
  void Clear() { cuts_.Clear(); }
  void Swap(SpanCuts* other) { cuts_.Swap(&other->cuts_); }

  size_t size() const { return cuts_.size() / sizeof(SpanCut); }
  const SpanCut* begin() const {
    return reinterpret_cast<const SpanCut*>(cuts_.data());
  }
  const SpanCut* end() const { return begin() + size(); }

 private:
  GrowableBuffer cuts_;
};

}  // namespace soci
