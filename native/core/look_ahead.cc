#include "look_ahead.h"

namespace soci {
namespace {

// After so many failures in a row the pauses between guesses grow no longer:
// one of 128 chunks on two threads.
constexpr unsigned kMaxFailures = 6;

}  // namespace

void LookAhead::Add(const uint8_t* data, size_t size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  chunks_[added_++ % kMaxChunks] = {data, size};
}

bool LookAhead::Wanted() {
  const std::lock_guard<std::mutex> lock(mutex_);
  uint64_t chunk = 0;
  return !stopped_ && NextGuess(&chunk);
}

void LookAhead::Guess() {
  Attempt* attempt = nullptr;
  Chunk chunk = {};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    uint64_t number = 0;
    if (stopped_ || !NextGuess(&number)) return;
    for (size_t i = 0; i < threads_ && attempt == nullptr; i++) {
      if (attempts_[i].progress == Attempt::Progress::kFree) {
        attempt = &attempts_[i];
      }
    }
    chunk = chunks_[number % kMaxChunks];
    attempt->progress = Attempt::Progress::kUnderWay;
    attempt->used = true;
    attempt->chunk = number;
    attempt->taken = false;
    attempt->stop.store(false, std::memory_order_relaxed);
  }
  const bool found =
      attempt->blocks.Decode(chunk.data, chunk.size, &attempt->stop);
  const std::lock_guard<std::mutex> lock(mutex_);
  attempt->found = found;
  attempt->progress = Attempt::Progress::kDone;
  done_.notify_all();
}

void LookAhead::Enter(uint64_t number, uint64_t origin) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (number < entered_) return;
  entered_ = number + 1;
  inside_ = true;
  origin_ = origin;
}

const MarkedBlocks* LookAhead::At(uint64_t position, uint64_t* origin) {
  std::unique_lock<std::mutex> lock(mutex_);
  Attempt* const attempt = OfEntered();
  if (attempt == nullptr) return nullptr;
  done_.wait(lock, [attempt] {
    return attempt->progress == Attempt::Progress::kDone;
  });
  if (!attempt->found || attempt->taken) return nullptr;
  const BlockStart& start = attempt->blocks.start();
  const uint64_t here = position - origin_ * 8;
  if (here < start.first || here > start.last) return nullptr;
  attempt->taken = true;
  *origin = origin_;
  return &attempt->blocks;
}

void LookAhead::Leave() {
  std::unique_lock<std::mutex> lock(mutex_);
  inside_ = false;
  Attempt* const attempt = OfEntered();
  if (attempt == nullptr) return;
  attempt->stop.store(true, std::memory_order_relaxed);
  done_.wait(lock, [attempt] {
    return attempt->progress == Attempt::Progress::kDone;
  });
  Judge(*attempt);
  attempt->progress = Attempt::Progress::kFree;
}

void LookAhead::Stop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = true;
  for (Attempt& attempt : attempts_) {
    attempt.stop.store(true, std::memory_order_relaxed);
  }
}

size_t LookAhead::memory() {
  const std::lock_guard<std::mutex> lock(mutex_);
  size_t used = 0;
  for (const Attempt& attempt : attempts_) used += attempt.used ? 1 : 0;
  return used * MarkedBlocks::kMemory;
}

LookAhead::Attempt* LookAhead::Of(uint64_t chunk) {
  for (Attempt& attempt : attempts_) {
    if (attempt.progress != Attempt::Progress::kFree &&
        attempt.chunk == chunk) {
      return &attempt;
    }
  }
  return nullptr;
}

// The first chunk that the decoding in order has not come to; one that it is
// about to begin it will have begun before a guess is of use.
bool LookAhead::NextGuess(uint64_t* chunk) {
  size_t free = 0;
  for (size_t i = 0; i < threads_; i++) {
    if (attempts_[i].progress == Attempt::Progress::kFree) free++;
  }
  if (free == 0) return false;
  for (uint64_t number = entered_ + (inside_ ? 0 : 1); number < added_;
       number++) {
    if (number % threads_ != 0 && number >= rest_until_ &&
        chunks_[number % kMaxChunks].size >= min_chunk_ &&
        Of(number) == nullptr) {
      *chunk = number;
      return true;
    }
  }
  return false;
}

// It must have spared the decoding in order a good part of its chunk; and where
// little was compressed, that one is faster alone.
bool LookAhead::WasUseful(const Attempt& attempt) const {
  if (!attempt.found || !attempt.taken) return false;
  const MarkedBlocks& blocks = attempt.blocks;
  const MarkedBlocks::End end = blocks.end(blocks.count() - 1);
  const size_t in = static_cast<size_t>((end.in - blocks.start().last) / 8);
  return in >= chunks_[attempt.chunk % kMaxChunks].size / 4 &&
         end.out >= in + in / 4;
}

void LookAhead::Judge(const Attempt& attempt) {
  if (WasUseful(attempt)) {
    failures_ = 0;
    return;
  }
  if (failures_ < kMaxFailures) failures_++;
  rest_until_ = attempt.chunk + (uint64_t{threads_} << failures_);
}

}  // namespace soci
