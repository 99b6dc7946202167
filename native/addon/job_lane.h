// A row of jobs that run one after the other, in the order in which they were
// queued: what an object owns whose state one job at a time may touch. The
// next one is started as soon as the last one has ended, before script hears
// of it, so that a pool thread need not wait for the main thread.
//
// JS thread, but for the flag.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstddef>

namespace soci::addon {

class PoolJob;

class JobLane {
 public:
  // Jobs beyond `capacity` are refused, those under way included.
  explicit JobLane(size_t capacity = 1) : capacity_(capacity) {}
  ~JobLane();
  JobLane(const JobLane&) = delete;
  JobLane& operator=(const JobLane&) = delete;

  bool busy() const { return size_ > 0; }
  bool full() const { return size_ == capacity_; }
  size_t size() const { return size_; }  // waiting and under way
  const std::atomic<bool>* aborted() const { return &aborted_; }

  // Makes the jobs under way, and every later one, fail with kAborted. A job
  // that still waits for a pool thread ends without one.
  void Abort(napi_env env);

  // While held, no job is started; the one under way goes on.
  void Hold(napi_env env, bool held);

 private:
  friend class PoolJob;

  void Append(PoolJob* job);
  void RemoveFirst();
  void StartNext(napi_env env);

  const size_t capacity_;
  std::atomic<bool> aborted_{false};
  PoolJob* first_ = nullptr;  // under way if `running_`; owned
  PoolJob* last_ = nullptr;
  size_t size_ = 0;
  bool running_ = false;
  bool held_ = false;
};

}  // namespace soci::addon
