// How a span begins, as script says it: the properties engine, gzipHeader, bits
// and window of an object.
#pragma once

#include "addon/arguments.h"
#include "core/span_decoder.h"

namespace soci::addon {

// Every property first, every pointer after: a getter is script, and could
// detach an array that was read before it ran.
class SpanOptions {
 public:
  SpanOptions(Napi::Value object, Arguments* read);

  // `window` points into script's array. After this no more script may run.
  SpanDecoder::Options Read(Arguments* read) const;

 private:
  Napi::Value engine_;
  Napi::Value gzip_header_;
  Napi::Value bits_;
  Napi::Value window_;
};

}  // namespace soci::addon
