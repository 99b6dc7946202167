#include "addon/span_options.h"

#include "addon/values.h"

namespace soci::addon {

bool ReadSpanOptions(napi_env env, napi_value object,
                     SpanDecoder::Options* options) {
  napi_value value = nullptr;
  uint64_t bits = 0;
  Bytes window;
  if (!ReadProperty(env, object, "engine", &value) ||
      !ReadEngine(env, value, &options->engine) ||
      !ReadProperty(env, object, "gzipHeader", &value) ||
      !ReadBool(env, value, "gzipHeader", &options->gzip_header) ||
      !ReadProperty(env, object, "bits", &value) ||
      !ReadOffset(env, value, "bits", &bits) ||
      !ReadProperty(env, object, "window", &value) ||
      !ReadOptionalBytes(env, value, "window", &window)) {
    return false;
  }
  if (bits > 7) return Throw(env, "expected 0 to 7 bits");
  if (window.data != nullptr && window.size != kWindowSize) {
    return Throw(env, "expected 32768 bytes for window");
  }
  options->bits = static_cast<uint8_t>(bits);
  options->window = window.data;
  return true;
}

}  // namespace soci::addon
