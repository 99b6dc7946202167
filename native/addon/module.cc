// The addon's exports. It keeps no state per process, and one Environment per
// environment, so any number of workers may load it, and several copies of it
// one process.
#include <napi.h>
#include <zlib.h>

#include "addon/abort_flag.h"
#include "addon/decode_job.h"
#include "addon/environment.h"
#include "addon/indexer.h"
#include "addon/posix.h"
#include "addon/span_decoder.h"

#if !defined(_WIN32)
#include "addon/tree_writer.h"
#endif

namespace soci::addon {
namespace {

// What fails here leaves an exception pending, which `require` throws.
Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Environment::Create(env);
  if (env.IsExceptionPending()) return exports;
  exports.Set("Indexer", Indexer::Define(env));
  exports.Set("SpanDecoder", SpanDecoderObject::Define(env));
  exports.Set("AbortFlag", AbortFlag::Define(env));
  exports.Set("decodeSpan", Napi::Function::New<DecodeSpan>(env, "decodeSpan"));
  exports.Set("setDecodeConcurrency", Napi::Function::New<SetDecodeConcurrency>(
                                          env, "setDecodeConcurrency"));
  // Of the zlib that is linked, which is the one compiled with the addon unless
  // another library's has taken its place.
  exports.Set("zlibVersion", zlibVersion());
#if !defined(_WIN32)
  exports.Set("TreeWriter", TreeWriterObject::Define(env));
#endif
#if defined(__linux__)
  exports.Set("posix", posix::Define(env));
#endif
  return exports;
}

}  // namespace
}  // namespace soci::addon

using soci::addon::Init;
NODE_API_MODULE(seekable_oci, Init)
