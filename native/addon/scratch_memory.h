// Memory that decoding jobs borrow, used again and again. New memory for each
// job is expensive: the kernel clears its pages. What is idle is bounded. V8 is
// not told of it: no collection could free any, and being told of every job
// made it collect for every one.
//
// JS thread, but for the bytes themselves. The pool outlives what it lends.
#pragma once

#include <cstddef>
#include <cstdint>

#include "addon/job_memory.h"

namespace soci::addon {

class ScratchPool;

// Goes back to its pool when it is destroyed.
class ScratchMemory {
 public:
  ScratchMemory() = default;
  ScratchMemory(ScratchPool* pool, JobMemory memory);
  ScratchMemory(ScratchMemory&& other) = default;
  ScratchMemory& operator=(ScratchMemory&& other) = default;
  ~ScratchMemory();

  // nullptr if there was none to be had.
  uint8_t* data() const { return memory_.data(); }

 private:
  ScratchPool* pool_ = nullptr;
  JobMemory memory_;
};

class ScratchPool {
 public:
  // At least `size` bytes with any contents.
  ScratchMemory Take(size_t size);

 private:
  friend class ScratchMemory;
  // What the jobs of two or three threads borrow at a time for spans of 4 MiB.
  static constexpr size_t kMaxIdle = 8;
  static constexpr size_t kMaxIdleBytes = size_t{32} << 20;
  // Sizes are rounded up to multiples of this: those of spans differ a little.
  static constexpr size_t kStep = size_t{256} << 10;

  void GiveBack(JobMemory memory);
  JobMemory RemoveIdle(size_t index);

  JobMemory idle_[kMaxIdle];  // the longest idle first
  size_t idle_count_ = 0;
  size_t idle_bytes_ = 0;
};

}  // namespace soci::addon
