#include <isa-l/igzip_lib.h>

#include <memory>

#include "engines.h"

namespace bench {

bool IsalSpan(const Stream& stream, const Span& span, uint8_t* out) {
  const auto state = std::make_unique<inflate_state>();
  isal_inflate_init(state.get());
  state->crc_flag = ISAL_DEFLATE;
  if (span.bits > 0) {
    state->read_in = stream.deflate[span.in - 1] >> (8 - span.bits);
    state->read_in_length = span.bits;
  }
  if (!span.window.empty())
    isal_inflate_set_dict(state.get(), const_cast<uint8_t*>(span.window.data()),
                          32768);
  state->next_in = const_cast<uint8_t*>(stream.deflate.data()) + span.in;
  state->avail_in = static_cast<uint32_t>(span.in_end - span.in);
  state->next_out = out;
  state->avail_out = static_cast<uint32_t>(span.out_end - span.out);
  return isal_inflate(state.get()) >= 0 && state->avail_out == 0;
}

}  // namespace bench
