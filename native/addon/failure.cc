#include "addon/failure.h"

#include <cstdio>

namespace soci::addon {
namespace {

// The names that lib/binding.ts maps to ERR_SOCI_… codes.
const char* CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kAborted:
      return "ABORTED";
    case Code::kGzipHeader:
      return "GZIP_HEADER";
    case Code::kGzipChecksum:
      return "GZIP_CHECKSUM";
    case Code::kDeflateData:
      return "DEFLATE_DATA";
    case Code::kTruncated:
      return "TRUNCATED";
    case Code::kTrailingData:
      return "TRAILING_DATA";
    case Code::kOutputLength:
      return "OUTPUT_LENGTH";
    case Code::kCheckpointBlob:
      return "CHECKPOINT_BLOB";
    case Code::kCheckpointMiss:
      return "CHECKPOINT_MISS";
    case Code::kTarHeader:
      return "TAR_HEADER";
    case Code::kLimit:
      return "LIMIT";
    case Code::kDigest:
      return "DIGEST";
    case Code::kInputShort:
      return "INPUT_SHORT";
    case Code::kInputRead:
      return "INPUT_READ";
    case Code::kInputChanged:
      return "INPUT_CHANGED";
    case Code::kNoMemory:
      return "NO_MEMORY";
    case Code::kMisuse:
      return "MISUSE";
  }
  return "MISUSE";
}

}  // namespace

napi_value MakeError(napi_env env, Status status) {
  const char* name = CodeName(status.code);
  char text[64];
  snprintf(text, sizeof text, "%s at %llu", name,
           static_cast<unsigned long long>(status.offset));
  napi_value code = nullptr;
  napi_value message = nullptr;
  napi_value offset = nullptr;
  napi_value error = nullptr;
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) !=
          napi_ok ||
      napi_create_error(env, code, message, &error) != napi_ok ||
      napi_create_double(env, static_cast<double>(status.offset), &offset) !=
          napi_ok ||
      napi_set_named_property(env, error, "offset", offset) != napi_ok) {
    return nullptr;
  }
  if (status.system_error == 0) return error;
  napi_value number = nullptr;
  if (napi_create_int32(env, status.system_error, &number) != napi_ok ||
      napi_set_named_property(env, error, "errno", number) != napi_ok) {
    return nullptr;
  }
  return error;
}

Napi::Value ThrowStatus(Napi::Env env, Status status) {
  const napi_value error = MakeError(env, status);
  if (error != nullptr) napi_throw(env, error);
  return {};
}

}  // namespace soci::addon
