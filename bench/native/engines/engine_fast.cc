#include <memory>

#include "engines.h"
#include "fast_inflater.h"

namespace bench {

using soci::Inflater;

bool FastWhole(const Stream& stream, uint8_t* out) {
  const auto inflater = std::make_unique<soci::FastInflater>();
  if (!inflater->Start(0, 0, nullptr).ok()) return false;
  return inflater
             ->Run(stream.deflate.data(), stream.deflate.size(), out,
                   stream.decoded.size(), 0, false)
             .event == Inflater::Event::kStreamEnd;
}

bool FastSpan(const Stream& stream, const Span& span, uint8_t* out) {
  const auto inflater = std::make_unique<soci::FastInflater>();
  const uint8_t partial = span.bits > 0 ? stream.deflate[span.in - 1] : 0;
  const uint8_t* const window =
      span.window.empty() ? nullptr : span.window.data();
  if (!inflater->Start(span.bits, partial, window).ok()) return false;
  const size_t length = span.out_end - span.out;
  return inflater
             ->Run(stream.deflate.data() + span.in, span.in_end - span.in, out,
                   length, 0, false)
             .produced == length;
}

}  // namespace bench
