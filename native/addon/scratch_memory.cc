#include "addon/scratch_memory.h"

#include <utility>

namespace soci::addon {

ScratchMemory::ScratchMemory(ScratchPool* pool, JobMemory memory)
    : pool_(pool), memory_(std::move(memory)) {}

ScratchMemory::~ScratchMemory() {
  if (memory_.data() != nullptr) pool_->GiveBack(std::move(memory_));
}

ScratchMemory ScratchPool::Take(size_t size) {
  // The smallest that fits, but none so large that another job would miss it.
  size_t best = idle_count_;
  for (size_t i = 0; i < idle_count_; i++) {
    const size_t capacity = idle_[i].capacity();
    if (capacity < size || capacity > 2 * size + kStep) continue;
    if (best == idle_count_ || capacity < idle_[best].capacity()) best = i;
  }
  JobMemory memory;
  if (best < idle_count_) {
    memory = RemoveIdle(best);
  } else {
    // What has been idle for longest makes room, so that jobs of all sizes
    // after each other leave no more behind than they ever had at a time.
    if (idle_count_ > 0) RemoveIdle(0);
    if (size > SIZE_MAX - kStep ||
        !memory.Reserve((size + kStep - 1) / kStep * kStep)) {
      return {};
    }
  }
  return {this, std::move(memory)};
}

void ScratchPool::GiveBack(JobMemory memory) {
  if (memory.capacity() > kMaxIdleBytes) return;
  while (idle_count_ == kMaxIdle ||
         idle_bytes_ + memory.capacity() > kMaxIdleBytes) {
    RemoveIdle(0);
  }
  idle_bytes_ += memory.capacity();
  idle_[idle_count_++] = std::move(memory);
}

JobMemory ScratchPool::RemoveIdle(size_t index) {
  JobMemory memory = std::move(idle_[index]);
  idle_bytes_ -= memory.capacity();
  idle_count_--;
  for (size_t i = index; i < idle_count_; i++) {
    idle_[i] = std::move(idle_[i + 1]);
  }
  return memory;
}

}  // namespace soci::addon
