#include "addon/job_queue.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <new>

#include "addon/environment.h"
#include "addon/pool_job.h"

namespace soci::addon {
namespace {

// After that a shift begins no further job if shifts have all threads of
// libuv's pool, which file reads and DNS share. While one is left to them it
// goes on: the next shift begins only when script has time for it. Node cannot
// end a worker before its shifts are over, but nobody adds jobs to them then.
constexpr std::chrono::milliseconds kShiftTime{15};

// The pool and its threads are the process's, whatever environments there are.
class PoolThread {
 public:
  PoolThread() { taken_++; }
  ~PoolThread() { taken_--; }
  PoolThread(const PoolThread&) = delete;
  PoolThread& operator=(const PoolThread&) = delete;

  static size_t count() { return count_; }
  static bool AnyLeft() { return taken_ < count_; }

 private:
  // As libuv does.
  static size_t ReadCount() {
    const char* const set = std::getenv("UV_THREADPOOL_SIZE");
    const int threads = set == nullptr ? 4 : std::atoi(set);
    constexpr unsigned kMost = 1024;
    return std::clamp(static_cast<unsigned>(threads), 1u, kMost);
  }

  // Read when the addon is loaded: on a pool thread, script could be changing
  // the environment meanwhile.
  static const size_t count_;
  static std::atomic<size_t> taken_;
};
const size_t PoolThread::count_ = PoolThread::ReadCount();
std::atomic<size_t> PoolThread::taken_{0};

// Whether script can still run. Node completes what was queued when it ends an
// environment, where even creating more work calls hooks that script must not
// run: with an AsyncLocalStorage in use that prints a fatal exception.
bool CanRunScript(napi_env env) {
  napi_value undefined = nullptr;
  bool answer = false;
  if (napi_get_undefined(env, &undefined) != napi_ok) return false;
  if (napi_strict_equals(env, undefined, undefined, &answer) == napi_ok) {
    return true;
  }
  // Refused for an exception that is being thrown, or because script is over.
  return napi_is_exception_pending(env, &answer) == napi_ok && answer;
}

}  // namespace

size_t PoolThreads() { return PoolThread::count(); }

struct JobQueue::State {
  explicit State(size_t threads) : width(threads) {}

  std::mutex mutex;
  size_t width;
  size_t shifts = 0;    // under way, those that are arriving included
  size_t arriving = 0;  // shifts that have not taken a job yet
  size_t waiting = 0;   // jobs
  bool held = false;
  PoolJob* first = nullptr;  // the jobs that wait; owned
  PoolJob* last = nullptr;

  // The caller holds the mutex.
  void Push(PoolJob* job) {
    job->next_ = nullptr;
    if (first == nullptr) {
      first = job;
    } else {
      last->next_ = job;
    }
    last = job;
    waiting++;
  }
  PoolJob* Pop() {
    PoolJob* const job = first;
    if (job == nullptr) return nullptr;
    first = job->next_;
    waiting--;
    return job;
  }

  // The next work of a shift: a job, or two that are executed together. Never
  // at the cost of a thread that could have begun the second one now.
  struct Work {
    PoolJob* job;  // nullptr ends the shift
    PoolJob* partner;
  };
  Work Next(bool first_of_shift) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (first_of_shift) arriving--;
    PoolJob* const job = held || shifts > width ? nullptr : Pop();
    if (job == nullptr) {
      shifts--;
      return {nullptr, nullptr};
    }
    const size_t free = width - shifts + arriving;
    const bool pair = waiting > free && job->pairs() && first->pairs();
    return {job, pair ? Pop() : nullptr};
  }

  // A shift does not come after all.
  void Dismiss() {
    const std::lock_guard<std::mutex> lock(mutex);
    arriving--;
    shifts--;
  }
};

struct JobQueue::Shift {
  std::shared_ptr<State> state;
  Environment* environment = nullptr;
  napi_async_work work = nullptr;
  bool begun = false;

  static void OnExecute(napi_env /*env*/, void* data) {
    auto* shift = static_cast<Shift*>(data);
    shift->begun = true;
    const PoolThread thread;
    using Clock = std::chrono::steady_clock;
    const Clock::time_point end = Clock::now() + kShiftTime;
    bool first = true;
    do {
      const State::Work work = shift->state->Next(first);
      if (work.job == nullptr) return;
      first = false;
      if (work.partner == nullptr) {
        work.job->Run();
      } else {
        PoolJob::RunPair(work.job, work.partner);
      }
      shift->environment->Executed(work.job);
      if (work.partner != nullptr) shift->environment->Executed(work.partner);
    } while (Clock::now() < end || PoolThread::AnyLeft());
    const std::lock_guard<std::mutex> lock(shift->state->mutex);
    shift->state->shifts--;
  }

  static void OnComplete(napi_env env, napi_status /*status*/, void* data) {
    const std::unique_ptr<Shift> shift(static_cast<Shift*>(data));
    if (!shift->begun) shift->state->Dismiss();
    napi_delete_async_work(env, shift->work);
    StartShifts(env, shift->state);
    shift->environment->EndExecuted(env);
  }

  // False if Node-API refuses.
  static bool Start(napi_env env, const std::shared_ptr<State>& state) {
    std::unique_ptr<Shift> shift(new (std::nothrow) Shift);
    napi_value name = nullptr;
    if (shift == nullptr) return false;
    shift->state = state;
    shift->environment = Environment::Of(env);
    if (shift->environment == nullptr ||
        napi_create_string_utf8(env, "seekable-oci", NAPI_AUTO_LENGTH, &name) !=
            napi_ok ||
        napi_create_async_work(env, nullptr, name, OnExecute, OnComplete,
                               shift.get(), &shift->work) != napi_ok) {
      return false;
    }
    if (napi_queue_async_work(env, shift->work) != napi_ok) {
      napi_delete_async_work(env, shift->work);
      return false;
    }
    shift.release();  // OnComplete deletes it.
    return true;
  }
};

JobQueue::JobQueue(size_t width, size_t capacity)
    : state_(std::make_shared<State>(width)), capacity_(capacity) {}

// Only at the end of the environment is there anything left to delete: jobs
// hold the object that owns their queue.
JobQueue::~JobQueue() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  while (PoolJob* job = state_->Pop()) delete job;
}

void JobQueue::set_width(napi_env env, size_t width) {
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->width = width;
  }
  StartShifts(env, state_);
}

void JobQueue::Hold(napi_env env, bool held) {
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->held = held;
  }
  StartShifts(env, state_);
}

void JobQueue::Abort(napi_env env) {
  for (;;) {
    PoolJob* job = nullptr;
    {
      const std::lock_guard<std::mutex> lock(state_->mutex);
      job = state_->Pop();
    }
    if (job == nullptr) return;
    PoolJob::End(env, job, Status::At(Code::kAborted, 0));
  }
}

void JobQueue::Abort(napi_env env, PoolJob* job) {
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    bool found = false;
    for (size_t rest = state_->waiting; rest > 0; rest--) {
      PoolJob* const candidate = state_->Pop();
      if (candidate == job) {
        found = true;
      } else {
        state_->Push(candidate);
      }
    }
    if (!found) return;  // It has begun: its flag ends it.
  }
  PoolJob::End(env, job, Status::At(Code::kAborted, 0));
}

void JobQueue::Append(napi_env env, PoolJob* job) {
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->Push(job);
  }
  size_++;
  StartShifts(env, state_);
}

// As many as there are jobs and threads for.
void JobQueue::StartShifts(napi_env env, const std::shared_ptr<State>& state) {
  if (!CanRunScript(env)) return;  // ~JobQueue deletes the jobs.
  for (;;) {
    {
      const std::lock_guard<std::mutex> lock(state->mutex);
      if (state->held || state->shifts >= state->width ||
          state->arriving >= state->waiting) {
        return;
      }
      state->shifts++;
      state->arriving++;
    }
    if (Shift::Start(env, state)) continue;
    state->Dismiss();
    PoolJob* job = nullptr;
    {
      const std::lock_guard<std::mutex> lock(state->mutex);
      if (state->shifts > 0) return;  // These come to it.
      job = state->Pop();
    }
    if (job == nullptr) return;
    PoolJob::End(env, job, Status::At(Code::kNoMemory, 0));
  }
}

}  // namespace soci::addon
