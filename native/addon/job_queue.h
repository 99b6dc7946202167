// Jobs that wait for a pool thread. libuv's threads are borrowed for a shift,
// in which a thread does one job after the other, for some 15 ms at least and
// as long as jobs wait where other work has a thread of the pool left; script
// is told of each job when it ends, by a signal, not of the shift. So a thread
// has its next job at once. Through libuv and script it takes half a
// millisecond, a tenth of the work on a span of 4 MiB: the main thread has to
// wake up, and then the thread of the pool.
//
// Where more jobs wait than threads are free, a thread takes two at a time, if
// they are of a kind of which two take less time together.
//
// JS thread, but for what a shift does. Raw Node-API: see pool_job.h.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace soci::addon {

class PoolJob;

// How many threads libuv's pool has.
size_t PoolThreads();

class JobQueue {
 public:
  // Up to `width` jobs at once, in the order in which they were queued. Jobs
  // beyond `capacity`, those under way included, are refused.
  JobQueue(size_t width, size_t capacity);
  ~JobQueue();
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  // Jobs that have not ended yet, as far as script was told.
  size_t size() const { return size_; }
  bool busy() const { return size_ > 0; }
  bool full() const { return size_ >= capacity_; }

  void set_width(napi_env env, size_t width);

  // While held, no job is begun; those under way go on.
  void Hold(napi_env env, bool held);

  // Ends all jobs that have not begun, or this one, with kAborted.
  void Abort(napi_env env);
  void Abort(napi_env env, PoolJob* job);

 private:
  friend class PoolJob;
  struct State;
  struct Shift;

  void Append(napi_env env, PoolJob* job);
  void Ended() { size_--; }
  static void StartShifts(napi_env env, const std::shared_ptr<State>& state);

  // Outlives the queue while a shift is under way. Where memory does not
  // suffice for it, V8 has ended the process before.
  std::shared_ptr<State> state_;
  size_t capacity_;
  size_t size_ = 0;
};

}  // namespace soci::addon
