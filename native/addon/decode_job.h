// decodeSpan: one verified span as one job. And on how many threads at once.
#pragma once

#include <napi.h>

#include "addon/environment.h"
#include "addon/pool_job.h"
#include "addon/scratch_memory.h"
#include "core/verified_span.h"

namespace soci::addon {

struct SpanArguments;

class DecodeJob final : public PoolJob, private OutputProgress {
 public:
  DecodeJob(Environment* environment, JobSlot* slot);
  ~DecodeJob() override;

  // Moves everything that script could take away while the job runs to memory
  // of the job's own. kNoMemory; kInputRead for a bad file descriptor.
  Status Own(const SpanArguments& arguments);

  // On the JS thread: copies what there is of the output. False if the array
  // that it belongs to has become shorter.
  bool CopyFilled(napi_env env);

 private:
  friend class EarlyCopies;
  Status Execute(const std::atomic<bool>* aborted) override;
  bool pairs() const override { return bulk_; }
  void ExecutePair(PoolJob* other, Status* status,
                   Status* other_status) override;
  VerifiedSpan::Call Call();
  napi_value Result(napi_env env, Status* status) override;
  void Filled(size_t bytes) override;

  Environment* environment_;
  VerifiedSpan span_;
  bool bulk_ = false;
  int fd_ = -1;           // our own duplicate
  ScratchMemory room_;    // stored bytes and window
  ScratchMemory copied_;  // output, if it is to be copied in the end
  uint8_t* output_ = nullptr;
  size_t output_size_ = 0;
  std::atomic<size_t> filled_{0};
  size_t announced_ = 0;  // of what is filled; pool thread
  size_t copied_size_ = 0;
  DecodeJob** early_ = nullptr;  // in EarlyCopies: what points to this
  DecodeJob* next_early_ = nullptr;
};

// decodeSpan(job, abortFlag | undefined): Promise<undefined>. `job` has codec,
// input or (fd, offset, length) and what the file was (fileSize, fileInode,
// fileModified) or undefined, digest, digestOffset, output, and how the span
// starts, for 'gzip'. With pinnedOutput the job works on that array in place:
// script must not be able to detach its buffer before the promise is settled
// (see pool_job.h). Any other output is copied to, most of
// it while the job runs; with resizableOutput only in the end, since a buffer
// that shrank and grew again would have lost what was copied before. Jobs with
// `bulk`, of which many are queued, may be executed two at a time, which is
// sooner for all of them together and later for the first.
Napi::Value DecodeSpan(const Napi::CallbackInfo& info);

// setDecodeConcurrency(threads): undefined. For decodeSpan and SpanDecoder.
Napi::Value SetDecodeConcurrency(const Napi::CallbackInfo& info);

}  // namespace soci::addon
