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

namespace {

bool Start(const Stream& stream, const Span& span, Inflater* inflater) {
  const uint8_t partial = span.bits > 0 ? stream.deflate[span.in - 1] : 0;
  const uint8_t* const window =
      span.window.empty() ? nullptr : span.window.data();
  return inflater->Start(span.bits, partial, window).ok();
}

}  // namespace

bool FastSpan(const Stream& stream, const Span& span, uint8_t* out) {
  const auto inflater = std::make_unique<soci::FastInflater>();
  if (!Start(stream, span, inflater.get())) return false;
  const size_t length = span.out_end - span.out;
  return inflater
             ->Run(stream.deflate.data() + span.in, span.in_end - span.in, out,
                   length, 0, false)
             .produced == length;
}

bool FastPair(const Stream& stream, const Span& a, const Span& b,
              uint8_t* out) {
  const auto first = std::make_unique<soci::FastInflater>();
  const auto second = std::make_unique<soci::FastInflater>();
  if (!Start(stream, a, first.get()) || !Start(stream, b, second.get()))
    return false;
  const auto call = [&](Inflater* inflater, const Span& span) {
    const size_t length = span.out_end - span.out;
    return Inflater::Call{inflater,
                          stream.deflate.data() + span.in,
                          span.in_end - span.in,
                          out + span.out,
                          length,
                          0,
                          {}};
  };
  Inflater::Call one = call(first.get(), a);
  Inflater::Call other = call(second.get(), b);
  soci::FastInflater::RunPair(&one, &other);
  // What one of them has left when the other is done, it does alone.
  for (Inflater::Call* half : {&one, &other}) {
    size_t produced = half->result.produced;
    if (half->result.event == Inflater::Event::kPaused) {
      const size_t consumed = half->result.consumed;
      produced += half->inflater
                      ->Run(half->in + consumed, half->in_len - consumed,
                            half->out + produced, half->out_len - produced,
                            produced, false)
                      .produced;
    }
    if (produced != half->out_len) return false;
  }
  return true;
}

}  // namespace bench
