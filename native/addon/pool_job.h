// One piece of work on a pool thread with a promise for its end; everything
// asynchronous in the addon is one of these. Jobs wait in a JobQueue.
//
// Memory. Node-API offers no way to pin the memory of a typed array: while a
// job runs, script may transfer the array's buffer to a worker whose exit frees
// it, or shrink a resizable one, and a strong reference to the array prevents
// neither. So jobs work on memory that script cannot take away: inputs are
// copied when a job is queued (which also means that the bytes whose digest was
// checked are the bytes that are decoded), or read from a file by the job;
// outputs are copied out when it has ended, or lie in memory that cannot be
// detached (lib/pinned-memory.ts), or in an array that lib/binding.ts made and
// shows to nobody before. A 1 MiB copy costs 1-2 % of the work on it.
//
// Teardown. A worker may be terminated, or the process may exit, with jobs in
// flight: Node waits for the shifts, then calls their completion with script
// disabled, where every Node-API call may fail. Completion ignores all those
// failures. Hence everything between queueing and settling is raw Node-API:
// node-addon-api's AsyncWorker and Promise::Deferred throw when a call fails,
// its references are deleted by destructors, which may run when the environment
// is gone.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <utility>

#include "addon/job_queue.h"
#include "core/status.h"

namespace soci::addon {

// A job ends after that much input or output, whichever comes first: some 20
// ms.
constexpr size_t kMaxJobInput = size_t{1} << 20;
constexpr size_t kMaxJobOutput = size_t{4} << 20;

class PoolJob;

// The place of at most one job: what an object has that runs jobs one after the
// other. JS thread, but for the flag.
class JobSlot {
 public:
  bool busy() const { return job_ != nullptr; }
  const std::atomic<bool>* aborted() const { return &aborted_; }

  // Makes the job under way, and every later one, fail with kAborted. A job
  // that still waits for a thread ends without one.
  void Abort(napi_env env);

 private:
  friend class PoolJob;
  std::atomic<bool> aborted_{false};
  PoolJob* job_ = nullptr;
};

class PoolJob {
 public:
  virtual ~PoolJob() = default;
  PoolJob(const PoolJob&) = delete;
  PoolJob& operator=(const PoolJob&) = delete;

  // Queues `job` and returns its promise, which is rejected with kMisuse if
  // its slot is taken or its queue is full. The values `held` are not collected
  // before the job has ended; what owns slot and queue is among them (nullptr
  // stands for none). nullptr if Node-API refuses, or if there is no job for
  // want of memory (then an exception is pending).
  static napi_value Queue(napi_env env, std::unique_ptr<PoolJob> job,
                          std::initializer_list<napi_value> held);

  // The same without a promise, for a job that script knows nothing of. False
  // if it was not queued.
  static bool QueueUnseen(napi_env env, std::unique_ptr<PoolJob> job,
                          std::initializer_list<napi_value> held);

 protected:
  // `aborted`: the job's flag, if nothing has a slot for it; may be nullptr.
  PoolJob(JobQueue* queue, const std::atomic<bool>* aborted)
      : queue_(queue), aborted_(aborted) {}
  // `slot` may be nullptr: cannot be aborted.
  PoolJob(JobQueue* queue, JobSlot* slot)
      : queue_(queue),
        slot_(slot),
        aborted_(slot == nullptr ? nullptr : slot->aborted()) {}

  // On a pool thread: no Node-API. The next job of the queue may begin before
  // what follows is called.
  virtual Status Execute(const std::atomic<bool>* aborted) = 0;

  // Whether it can be executed together with another job of its queue that can,
  // in less time than one after the other; it then ends with the later of them.
  virtual bool pairs() const { return false; }

  // Execute of two such jobs, this being one of them.
  virtual void ExecutePair(PoolJob* /*other*/, Status* /*status*/,
                           Status* /*other_status*/) {}

  const std::atomic<bool>* aborted() const { return aborted_; }

  // On the JS thread after Execute, or instead of it, whether or not it
  // succeeded.
  virtual void Executed(napi_env /*env*/, Status /*status*/) {}

  // The promise's value, or nullptr with `status` set; without, it is
  // kNoMemory.
  virtual napi_value Result(napi_env env, Status* status) = 0;

  // A value given to Queue.
  napi_value Held(napi_env env, size_t index) const;

 private:
  friend class Environment;
  friend class JobQueue;
  friend class JobSlot;
  static constexpr size_t kMaxHeld = 2;

  bool Hold(napi_env env, std::initializer_list<napi_value> held);
  static void Enter(napi_env env, std::unique_ptr<PoolJob> job);
  bool Begin();
  void Run();
  static void RunPair(PoolJob* a, PoolJob* b);
  static void End(napi_env env, PoolJob* job, Status status);

  napi_value Outcome(napi_env env);
  void Settle(napi_env env);
  void Release(napi_env env);

  JobQueue* queue_;
  JobSlot* slot_ = nullptr;
  const std::atomic<bool>* aborted_;
  PoolJob* next_ = nullptr;  // in the queue, or among those executed
  Status status_;
  napi_deferred deferred_ = nullptr;
  napi_ref held_[kMaxHeld] = {};
  size_t held_count_ = 0;
};

// nullptr when memory is short, which Queue knows how to say.
template <class T, class... Args>
std::unique_ptr<PoolJob> NewJob(Args&&... args) {
  return std::unique_ptr<PoolJob>(new (std::nothrow)
                                      T(std::forward<Args>(args)...));
}

}  // namespace soci::addon
