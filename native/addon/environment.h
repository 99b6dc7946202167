// What the addon has once per Node environment (the main thread, a worker):
// the queue of the jobs that decode spans, and the way in which jobs that have
// ended on a pool thread get back to the JS thread.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <mutex>

#include "addon/job_queue.h"

namespace soci::addon {

class PoolJob;

class Environment {
 public:
  // Called once, when the addon is loaded. False if Node-API refuses.
  static bool Create(napi_env env);
  static Environment* Of(napi_env env);

  JobQueue* decodes() { return &decodes_; }

  // On a pool thread: `job` has been executed.
  void Executed(PoolJob* job);

  // On the JS thread: ends the jobs that have been executed.
  void EndExecuted(napi_env env);

 private:
  Environment() = default;
  static void OnSignal(napi_env env, napi_value callback, void* context,
                       void* data);

  // nullptr without: then jobs end with the shift that executed them.
  napi_threadsafe_function signal_ = nullptr;
  JobQueue decodes_{1, SIZE_MAX};
  std::mutex mutex_;
  PoolJob* first_executed_ = nullptr;
  PoolJob* last_executed_ = nullptr;
};

}  // namespace soci::addon
