#include "addon/pool_job.h"

#include "addon/values.h"

namespace soci::addon {

napi_value PoolJob::Queue(napi_env env, std::unique_ptr<PoolJob> job,
                          std::initializer_list<napi_value> held) {
  if (job == nullptr) return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  napi_value promise = nullptr;
  if (napi_create_promise(env, &job->deferred_, &promise) != napi_ok) {
    return nullptr;
  }
  Code refusal = Code::kNoMemory;
  if (job->lane_ != nullptr && job->lane_->full()) {
    refusal = Code::kMisuse;
  } else if (job->Prepare(env, held) && Enter(env, &job)) {
    return promise;
  }
  job->status_ = Status::At(refusal, 0);
  job->Settle(env);
  job->Release(env);
  return promise;
}

bool PoolJob::QueueUnseen(napi_env env, std::unique_ptr<PoolJob> job,
                          std::initializer_list<napi_value> held) {
  if (job == nullptr || (job->lane_ != nullptr && job->lane_->full())) {
    return false;
  }
  if (job->Prepare(env, held) && Enter(env, &job)) return true;
  job->Release(env);
  return false;
}

napi_value PoolJob::RunNow(napi_env env, std::unique_ptr<PoolJob> job) {
  if (job == nullptr) return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  if (job->lane_ != nullptr && job->lane_->busy()) {
    job->status_ = Status::At(Code::kMisuse, 0);
  } else {
    job->Starting();
    job->status_ = job->Run();
    job->Executed(env, job->status_);
  }
  napi_value result = job->Outcome(env);
  if (job->status_.ok()) return result;
  if (result != nullptr) napi_throw(env, result);
  return nullptr;
}

napi_value PoolJob::Held(napi_env env, size_t index) const {
  napi_value value = nullptr;
  if (index < held_count_) napi_get_reference_value(env, held_[index], &value);
  return value;
}

bool PoolJob::Prepare(napi_env env, std::initializer_list<napi_value> held) {
  for (napi_value value : held) {
    if (held_count_ == kMaxHeld ||
        napi_create_reference(env, value, 1, &held_[held_count_]) != napi_ok) {
      return false;
    }
    held_count_++;
  }
  napi_value name = nullptr;
  return napi_create_string_utf8(env, "seekable-oci", NAPI_AUTO_LENGTH,
                                 &name) == napi_ok &&
         napi_create_async_work(env, nullptr, name, OnExecute, OnComplete, this,
                                &work_) == napi_ok;
}

// Gives `job` to its lane or, without one, to the pool; false, with the job
// still the caller's, if the pool does not take it. OnComplete deletes it.
bool PoolJob::Enter(napi_env env, std::unique_ptr<PoolJob>* job) {
  JobLane* const lane = (*job)->lane_;
  if (lane == nullptr) {
    if (!(*job)->Start(env)) return false;
    job->release();
    return true;
  }
  lane->Append(job->release());
  lane->StartNext(env);
  return true;
}

bool PoolJob::Start(napi_env env) {
  Starting();
  return napi_queue_async_work(env, work_) == napi_ok;
}

void PoolJob::OnExecute(napi_env /*env*/, void* data) {
  auto* job = static_cast<PoolJob*>(data);
  job->status_ = job->Run();
}

void PoolJob::OnComplete(napi_env env, napi_status status, void* data) {
  std::unique_ptr<PoolJob> job(static_cast<PoolJob*>(data));
  JobLane* const lane = job->lane_;
  if (lane != nullptr) lane->RemoveFirst();
  const Status outcome =
      status == napi_ok ? job->status_ : Status::At(Code::kAborted, 0);
  job->End(env, outcome);
}

// What follows once the job has run, or could not.
void PoolJob::End(napi_env env, Status status) {
  status_ = status;
  Executed(env, status);
  // The lane lies in a value that is held until Release.
  if (lane_ != nullptr) lane_->StartNext(env);
  Settle(env);
  Release(env);
}

Status PoolJob::Run() {
  const std::atomic<bool>* aborted =
      lane_ != nullptr ? lane_->aborted() : nullptr;
  if (aborted != nullptr && aborted->load(std::memory_order_relaxed)) {
    return Status::At(Code::kAborted, 0);
  }
  return Execute(aborted);
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
  if (work_ != nullptr) napi_delete_async_work(env, work_);
  work_ = nullptr;
}

bool JobMemory::Reserve(size_t size) {
  if (data_ != nullptr && size <= capacity_) return true;
  data_.reset();  // The old bytes are of no use, so nothing is copied.
  capacity_ = 0;
  data_.reset(static_cast<uint8_t*>(malloc(size == 0 ? 1 : size)));
  if (data_ == nullptr) return false;
  capacity_ = size;
  return true;
}

}  // namespace soci::addon
