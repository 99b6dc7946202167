#include "addon/environment.h"

#include <new>

#include "addon/pool_job.h"

namespace soci::addon {

bool Environment::Create(napi_env env) {
  std::unique_ptr<Environment> environment(new (std::nothrow) Environment);
  if (environment == nullptr) return false;
  napi_value name = nullptr;
  napi_threadsafe_function signal = nullptr;
  // Unreferenced, so that it does not keep the process alive: shifts do.
  if (napi_create_string_utf8(env, "seekable-oci", NAPI_AUTO_LENGTH, &name) ==
          napi_ok &&
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1,
                                      nullptr, nullptr, environment.get(),
                                      OnSignal, &signal) == napi_ok &&
      napi_unref_threadsafe_function(env, signal) == napi_ok) {
    environment->signal_ = signal;
  }
  const auto destroy = [](napi_env, void* data, void*) {
    delete static_cast<Environment*>(data);
  };
  if (napi_set_instance_data(env, environment.get(), destroy, nullptr) !=
      napi_ok) {
    return false;
  }
  environment.release();
  return true;
}

Environment* Environment::Of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<Environment*>(data);
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
  if (signal_ != nullptr) {
    napi_call_threadsafe_function(signal_, nullptr, napi_tsfn_nonblocking);
  }
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

void Environment::OnSignal(napi_env env, napi_value /*callback*/, void* context,
                           void* /*data*/) {
  // Without an environment the function is being closed, at its end.
  if (env != nullptr) static_cast<Environment*>(context)->EndExecuted(env);
}

}  // namespace soci::addon
