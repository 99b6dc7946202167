// Decodes chunks of a stream ahead of the thread that decodes it in its order:
// guesses where a block begins in them (block_finder.h) and decodes what
// follows with markers for the unknown window (marked_blocks.h). Of n threads,
// one goes on in order and decodes every n-th chunk by itself, as it knows the
// window and is that much faster; the others do those between.
//
// A guess never changes what comes of the stream. Where guesses have been of no
// use (blocks as long as chunks, streams of many small members, data that was
// hardly compressed), they become rarer; where chunks come more slowly than
// they are decoded, none is made.
//
// Thread safety: Add is called by one thread at a time, so are Enter, At and
// Leave; otherwise any method by any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "blocks_ahead.h"

namespace soci {

class LookAhead final : public BlocksAhead {
 public:
  static constexpr size_t kMaxThreads = 4;
  // Chunks that were added and not left, at most.
  static constexpr size_t kMaxChunks = 2 * kMaxThreads;

  // Less is not worth the search for a block.
  static constexpr size_t kMinChunk = size_t{256} << 10;

  // `threads`: those that guess and the one that does not, 2 to kMaxThreads.
  // Smaller chunks than `min_chunk` are not guessed at.
  explicit LookAhead(size_t threads, size_t min_chunk = kMinChunk)
      : threads_(threads), min_chunk_(min_chunk) {}

  // The next chunk of the stream, of any size. Its bytes stay as they are until
  // it is left.
  void Add(const uint8_t* data, size_t size);

  // Whether another thread would find something to do in Guess.
  bool Wanted();
  // Decodes one chunk, if there is one to be done, on any thread.
  void Guess();

  // The decoding in order begins chunk `number` (from 0), whose first byte is
  // byte `origin` of the stream. Nothing if it did so before.
  void Enter(uint64_t number, uint64_t origin);
  // Waits for a guess at this chunk if it is under way: as a rule that takes no
  // longer than it would to decode the chunk here, MarkedBlocks::Decode says
  // how long at most, and its work is not lost.
  const MarkedBlocks* At(uint64_t position, uint64_t* origin) override;
  // The decoding in order has ended the chunk that it entered last. When this
  // returns, nothing reads it any more.
  void Leave();

  // Ends guesses under way, and begins no more.
  void Stop();

  // In bytes, what guesses hold until the end.
  size_t memory();

 private:
  struct Chunk {
    const uint8_t* data;
    size_t size;
  };
  struct Attempt {
    enum class Progress : uint8_t { kFree, kUnderWay, kDone };
    Progress progress = Progress::kFree;
    bool used = false;
    uint64_t chunk = 0;
    std::atomic<bool> stop{false};
    bool found = false;
    bool taken = false;
    MarkedBlocks blocks;
  };

  // These are called with the mutex held.
  Attempt* Of(uint64_t chunk);
  Attempt* OfEntered() { return Of(entered_ - 1); }
  bool NextGuess(uint64_t* chunk);
  bool WasUseful(const Attempt& attempt) const;
  void Judge(const Attempt& attempt);

  const size_t threads_;
  const size_t min_chunk_;
  std::mutex mutex_;
  std::condition_variable done_;
  bool stopped_ = false;
  Chunk chunks_[kMaxChunks] = {};  // each at its number modulo kMaxChunks
  uint64_t added_ = 0;
  uint64_t entered_ = 0;           // the number behind that of the last
  bool inside_ = false;            // of that one
  uint64_t origin_ = 0;            // of the chunk that was entered last
  Attempt attempts_[kMaxThreads];  // of which `threads_` are used
  unsigned failures_ = 0;          // in a row
  uint64_t rest_until_ = 0;        // chunks before are not guessed at
};

}  // namespace soci
