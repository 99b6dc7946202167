#include "addon/job_lane.h"

#include <memory>

#include "addon/pool_job.h"

namespace soci::addon {

// Only at the end of the environment is there anything left to delete: jobs
// hold the object that owns their lane.
JobLane::~JobLane() {
  while (first_ != nullptr) {
    const std::unique_ptr<PoolJob> job(first_);
    RemoveFirst();
  }
}

void JobLane::Abort(napi_env env) {
  aborted_.store(true, std::memory_order_relaxed);
  // Fails when the job has been started already: then the flag ends it.
  if (running_) napi_cancel_async_work(env, first_->work_);
}

void JobLane::Hold(napi_env env, bool held) {
  held_ = held;
  StartNext(env);
}

void JobLane::Append(PoolJob* job) {
  if (first_ == nullptr) {
    first_ = job;
  } else {
    last_->next_ = job;
  }
  last_ = job;
  size_++;
}

void JobLane::RemoveFirst() {
  first_ = first_->next_;
  if (first_ == nullptr) last_ = nullptr;
  size_--;
  running_ = false;
}

void JobLane::StartNext(napi_env env) {
  while (first_ != nullptr && !running_ && !held_) {
    running_ = first_->Start(env);
    if (running_) return;
    std::unique_ptr<PoolJob> job(first_);
    RemoveFirst();
    job->End(env, Status::At(Code::kNoMemory, 0));
  }
}

}  // namespace soci::addon
