#include "addon/run_job.h"

#include <algorithm>
#include <cstring>

#include "addon/job_result.h"

namespace soci::addon {

void RunJob::Piece::LimitToOneJob() {
  input.size = std::min(input.size, kMaxJobInput);
  // Skipped output is work like any other. What is to be discarded comes
  // first, so a job that cannot skip it all fills nothing.
  if (skip >= kMaxJobOutput) {
    output.size = 0;
    skip = kMaxJobOutput;
  }
  output.size = std::min<size_t>(output.size, kMaxJobOutput - skip);
}

RunJob::RunJob(JobQueue* queue, SpanDecoderObject* owner, const Piece& piece)
    : PoolJob(queue, &owner->slot_), owner_(owner), piece_(piece) {}

Status RunJob::Execute(const std::atomic<bool>* aborted) {
  progress_ = owner_->decoder_.Run(piece_.input.data, piece_.input.size,
                                   piece_.output.data, piece_.output.size,
                                   piece_.skip, aborted);
  return progress_.status;
}

void RunJob::Executed(napi_env env, Status /*status*/) {
  owner_->ReportMemory(env);
}

napi_value RunJob::Result(napi_env env, Status* status) {
  constexpr size_t kOutput = 1;  // among the held values
  uint8_t* const array = ArrayOf(env, Held(env, kOutput), progress_.produced);
  if (array == nullptr) {
    *status = Status::At(Code::kMisuse, 0);
    return nullptr;
  }
  memcpy(array, piece_.output.data, progress_.produced);
  JobResult result(env);
  result.Number("consumed", progress_.consumed);
  result.Number("skipped", progress_.skipped);
  result.Number("produced", progress_.produced);
  result.Bool("ended", progress_.ended);
  return result.get();
}

}  // namespace soci::addon
