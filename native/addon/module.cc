// The addon's exports. It keeps no state per process, and one Environment per
// environment, so any number of workers may load it, and several copies of it
// one process.
#include <node_api.h>
#include <zlib.h>

#include "addon/abort_flag.h"
#include "addon/decode_span.h"
#include "addon/environment.h"
#include "addon/indexer.h"
#include "addon/span_decoder.h"
#include "addon/values.h"

namespace soci::addon {
namespace {

napi_value MakeFunction(napi_env env, const char* name,
                        napi_callback callback) {
  napi_value function = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr,
                       &function);
  return function;
}

// Of the zlib that is linked, which is the one compiled with the addon unless
// another library's has taken its place.
napi_value MakeZlibVersion(napi_env env) {
  napi_value version = nullptr;
  napi_create_string_utf8(env, zlibVersion(), NAPI_AUTO_LENGTH, &version);
  return version;
}

}  // namespace

napi_value Init(napi_env env, napi_value exports) {
  if (!Environment::Create(env)) {
    return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  }
  // What fails here leaves an exception pending, which `require` throws.
  SetProperty(env, exports, "Indexer", Indexer::Define(env)) &&
      SetProperty(env, exports, "SpanDecoder",
                  SpanDecoderObject::Define(env)) &&
      SetProperty(env, exports, "AbortFlag", AbortFlag::Define(env)) &&
      SetProperty(env, exports, "decodeSpan",
                  MakeFunction(env, "decodeSpan", DecodeSpanAsync)) &&
      SetProperty(
          env, exports, "setDecodeConcurrency",
          MakeFunction(env, "setDecodeConcurrency", SetDecodeConcurrency)) &&
      SetProperty(env, exports, "zlibVersion", MakeZlibVersion(env));
  return exports;
}

}  // namespace soci::addon

NAPI_MODULE_INIT() { return soci::addon::Init(env, exports); }
