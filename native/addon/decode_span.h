// decodeSpan: one whole span as one job, checked against
// its digest before any of it is decoded. And on how many threads at once.
#pragma once

#include <node_api.h>

namespace soci::addon {

// decodeSpan(job, abortFlag | undefined): Promise<undefined>. Writes to
// `job.output` from the pool: script must not be able to detach that array's
// buffer before the promise is settled (see pool_job.h).
napi_value DecodeSpanAsync(napi_env env, napi_callback_info info);

// setDecodeConcurrency(threads): undefined. For decodeSpan and SpanDecoder.
napi_value SetDecodeConcurrency(napi_env env, napi_callback_info info);

}  // namespace soci::addon
