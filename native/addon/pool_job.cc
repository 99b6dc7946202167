#include "addon/pool_job.h"

#include "addon/failure.h"

namespace soci::addon {

void JobSlot::Abort(napi_env env) {
  aborted_.store(true, std::memory_order_relaxed);
  if (job_ != nullptr) job_->queue_->Abort(env, job_);
}

napi_value PoolJob::Queue(napi_env env, std::unique_ptr<PoolJob> job,
                          std::initializer_list<napi_value> held) {
  if (job == nullptr) return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  napi_value promise = nullptr;
  if (napi_create_promise(env, &job->deferred_, &promise) != napi_ok) {
    return nullptr;
  }
  const bool taken = job->slot_ != nullptr && job->slot_->busy();
  if (!taken && !job->queue_->full() && job->Hold(env, held)) {
    Enter(env, std::move(job));
    return promise;
  }
  const bool misuse = taken || job->queue_->full();
  job->status_ = Status::At(misuse ? Code::kMisuse : Code::kNoMemory, 0);
  job->Settle(env);
  job->Release(env);
  return promise;
}

bool PoolJob::QueueUnseen(napi_env env, std::unique_ptr<PoolJob> job,
                          std::initializer_list<napi_value> held) {
  if (job == nullptr || job->queue_->full()) return false;
  if (job->Hold(env, held)) {
    Enter(env, std::move(job));
    return true;
  }
  job->Release(env);
  return false;
}

napi_value PoolJob::Held(napi_env env, size_t index) const {
  napi_value value = nullptr;
  if (index < held_count_) napi_get_reference_value(env, held_[index], &value);
  return value;
}

bool PoolJob::Hold(napi_env env, std::initializer_list<napi_value> held) {
  for (napi_value value : held) {
    if (value == nullptr) continue;
    if (held_count_ == kMaxHeld ||
        napi_create_reference(env, value, 1, &held_[held_count_]) != napi_ok) {
      return false;
    }
    held_count_++;
  }
  return true;
}

void PoolJob::Enter(napi_env env, std::unique_ptr<PoolJob> job) {
  if (job->slot_ != nullptr) job->slot_->job_ = job.get();
  JobQueue* const queue = job->queue_;
  queue->Append(env, job.release());  // End deletes it.
}

// False if it was aborted before.
bool PoolJob::Begin() {
  const bool raised =
      aborted_ != nullptr && aborted_->load(std::memory_order_relaxed);
  if (raised) status_ = Status::At(Code::kAborted, 0);
  return !raised;
}

void PoolJob::Run() {
  if (Begin()) status_ = Execute(aborted_);
}

void PoolJob::RunPair(PoolJob* a, PoolJob* b) {
  const bool first = a->Begin();
  const bool second = b->Begin();
  if (first && second) {
    a->ExecutePair(b, &a->status_, &b->status_);
  } else if (first) {
    a->status_ = a->Execute(a->aborted_);
  } else if (second) {
    b->status_ = b->Execute(b->aborted_);
  }
}

// What follows once the job has run, or will not.
void PoolJob::End(napi_env env, PoolJob* ended, Status status) {
  const std::unique_ptr<PoolJob> job(ended);
  if (job->slot_ != nullptr) job->slot_->job_ = nullptr;
  job->queue_->Ended();
  // An abort that came after the work and before script was told of it counts.
  const bool aborted = job->aborted_ != nullptr &&
                       job->aborted_->load(std::memory_order_relaxed);
  if (aborted && status.ok()) status = Status::At(Code::kAborted, 0);
  job->status_ = status;
  job->Executed(env, status);
  job->Settle(env);
  job->Release(env);
}

// The value to resolve with or, if status_ is not ok, the error.
napi_value PoolJob::Outcome(napi_env env) {
  if (status_.ok()) {
    napi_value result = Result(env, &status_);
    if (status_.ok() && result != nullptr) return result;
    if (status_.ok()) status_ = Status::At(Code::kNoMemory, 0);
  }
  return MakeError(env, status_);
}

void PoolJob::Settle(napi_env env) {
  if (deferred_ == nullptr) return;
  napi_value outcome = Outcome(env);
  if (outcome == nullptr) return;  // Script is over.
  if (status_.ok()) {
    napi_resolve_deferred(env, deferred_, outcome);
  } else {
    napi_reject_deferred(env, deferred_, outcome);
  }
}

void PoolJob::Release(napi_env env) {
  for (size_t i = 0; i < held_count_; i++) napi_delete_reference(env, held_[i]);
  held_count_ = 0;
}

}  // namespace soci::addon
