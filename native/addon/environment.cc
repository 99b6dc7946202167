#include "addon/environment.h"

#include "addon/pool_job.h"

namespace soci::addon {

void Environment::Create(Napi::Env env) {
  auto* const environment = new Environment;
  env.SetInstanceData<Environment>(environment);  // which deletes it
  environment->signal_ =
      decltype(signal_)::New(env, "seekable-oci", 0, 1, environment);
  // So that it does not keep the process alive: shifts do.
  environment->signal_.Unref(env);
}

Environment* Environment::Of(Napi::Env env) {
  return env.GetInstanceData<Environment>();
}

void Environment::Executed(PoolJob* job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    job->next_ = nullptr;
    if (first_executed_ == nullptr) {
      first_executed_ = job;
    } else {
      last_executed_->next_ = job;
    }
    last_executed_ = job;
  }
  // Node waits for the shift we are in before it closes the function.
  Signal();
}

void Environment::EndExecuted(napi_env env) {
  for (;;) {
    PoolJob* job = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      job = first_executed_;
      if (job == nullptr) return;
      first_executed_ = job->next_;
    }
    PoolJob::End(env, job, job->status_);
  }
}

void Environment::OnSignal(Napi::Env env, Napi::Function /*callback*/,
                           Environment* environment, void* /*data*/) {
  // Without an environment the function is being closed, at its end.
  if (env == nullptr) return;
  environment->EndExecuted(env);
  environment->early_copies_.Copy(env);
}

}  // namespace soci::addon
