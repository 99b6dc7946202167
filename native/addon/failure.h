// A failure of the core as a JavaScript error: with `code` ('GZIP_HEADER', …),
// which lib/binding.ts maps to ERR_SOCI_… codes and words, `offset`, and
// `errno` where the system refused.
//
// Raw Node-API: jobs end with these errors while an environment is torn down,
// where every call may fail; node-addon-api answers that by throwing, and ends
// the process where nothing can be thrown.
#pragma once

#include <napi.h>

#include "core/status.h"

namespace soci::addon {

// nullptr when memory is short or script is over.
napi_value MakeError(napi_env env, Status status);

// Throws what a promise would be rejected with; empty, to return to JavaScript.
Napi::Value ThrowStatus(Napi::Env env, Status status);

}  // namespace soci::addon
