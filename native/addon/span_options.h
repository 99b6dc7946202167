// Reads the properties engine, start, bits and window that SpanDecoder and
// decodeSpan have in common.
#pragma once

#include <node_api.h>

#include "core/span_decoder.h"

namespace soci::addon {

// `options->window` points into the JavaScript array: good until script runs.
bool ReadSpanOptions(napi_env env, napi_value object,
                     SpanDecoder::Options* options);

}  // namespace soci::addon
