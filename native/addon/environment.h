// What the addon has once per Node environment (the main thread, a worker): the
// queue of the jobs that decode spans and the memory that they borrow, and the
// way in which jobs that have ended on a pool thread get back to the JS thread.
#pragma once

#include <napi.h>

#include <cstdint>
#include <mutex>

#include "addon/early_copies.h"
#include "addon/job_queue.h"
#include "addon/scratch_memory.h"

namespace soci::addon {

class PoolJob;

class Environment {
 public:
  // Called once, when the addon is loaded; may leave an exception pending.
  static void Create(Napi::Env env);
  static Environment* Of(Napi::Env env);

  JobQueue* decodes() { return &decodes_; }
  ScratchPool* scratch() { return &scratch_; }
  EarlyCopies* early_copies() { return &early_copies_; }

  // On a pool thread: `job` has been executed.
  void Executed(PoolJob* job);

  // On a pool thread: there is output for early copies.
  void Signal() { signal_.NonBlockingCall(); }

  // On the JS thread: ends the jobs that have been executed.
  void EndExecuted(napi_env env);

 private:
  static void OnSignal(Napi::Env env, Napi::Function callback,
                       Environment* environment, void* data);

  // Announces output, and each job when it has been executed; the end of its
  // shift, which Node announces, may be far.
  Napi::TypedThreadSafeFunction<Environment, void, OnSignal> signal_;
  // Both outlive the jobs that wait in the queue.
  ScratchPool scratch_;
  EarlyCopies early_copies_;
  JobQueue decodes_{1, SIZE_MAX};
  std::mutex mutex_;
  PoolJob* first_executed_ = nullptr;
  PoolJob* last_executed_ = nullptr;
};

}  // namespace soci::addon
