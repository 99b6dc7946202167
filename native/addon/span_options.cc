#include "addon/span_options.h"

namespace soci::addon {

SpanOptions::SpanOptions(Napi::Value object, Arguments* read)
    : engine_(read->Property(object, "engine")),
      gzip_header_(read->Property(object, "gzipHeader")),
      bits_(read->Property(object, "bits")),
      window_(read->Property(object, "window")) {}

SpanDecoder::Options SpanOptions::Read(Arguments* read) const {
  SpanDecoder::Options options;
  options.engine = read->ReadEngine(engine_);
  options.gzip_header = read->ReadBool(gzip_header_, "gzipHeader");
  const uint64_t bits = read->ReadOffset(bits_, "bits");
  if (bits > 7) read->Refuse("expected 0 to 7 bits");
  options.bits = static_cast<uint8_t>(bits);
  const Bytes window = read->ReadOptionalBytes(window_, "window");
  if (window.data != nullptr && window.size != kWindowSize) {
    read->Refuse("expected 32768 bytes for window");
  }
  options.window = window.data;
  return options;
}

}  // namespace soci::addon
