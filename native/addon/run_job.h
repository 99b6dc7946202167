// Decodes the next piece of a SpanDecoder's span. Resolves to a DecodeResult of
// lib/binding.ts.
#pragma once

#include <cstdint>

#include "addon/arguments.h"
#include "addon/pool_job.h"
#include "addon/span_decoder.h"
#include "core/span_decoder.h"

namespace soci::addon {

class RunJob final : public PoolJob {
 public:
  struct Piece {
    Bytes input;
    Bytes output;
    uint64_t skip = 0;

    void LimitToOneJob();
  };

  // Held values: the decoder, the array that is filled.
  RunJob(JobQueue* queue, SpanDecoderObject* owner, const Piece& piece);

 private:
  Status Execute(const std::atomic<bool>* aborted) override;
  void Executed(napi_env env, Status status) override;
  napi_value Result(napi_env env, Status* status) override;

  SpanDecoderObject* owner_;
  Piece piece_;
  SpanDecoder::Progress progress_;
};

}  // namespace soci::addon
