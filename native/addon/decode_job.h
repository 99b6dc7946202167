// decodeSpan: one whole span as one job, checked against its digest before any
// of it is decoded. And on how many threads at once.
#pragma once

#include <napi.h>

namespace soci::addon {

// decodeSpan(job, abortFlag | undefined): Promise<undefined>. Writes to
// `job.output` from the pool: script must not be able to detach that array's
// buffer before the promise is settled (see pool_job.h).
Napi::Value DecodeSpan(const Napi::CallbackInfo& info);

// setDecodeConcurrency(threads): undefined. For decodeSpan and SpanDecoder.
Napi::Value SetDecodeConcurrency(const Napi::CallbackInfo& info);

}  // namespace soci::addon
