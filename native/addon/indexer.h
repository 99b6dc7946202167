// The JavaScript class Indexer over the core's LayerIndexer. Bytes are pushed,
// which copies them; runs scan them on one thread of the pool, one right after
// the other; beside the next run, another thread hashes what the last one
// scanned, and others decode chunks ahead of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "addon/arguments.h"
#include "addon/external_memory.h"
#include "addon/job_memory.h"
#include "addon/pool_job.h"
#include "addon/tagged_wrap.h"
#include "core/layer_indexer.h"
#include "core/look_ahead.h"
#include "core/tree/tar_blocks.h"

namespace soci::addon {

class Indexer final : public TaggedWrap<Indexer> {
 public:
  static Napi::Function Define(Napi::Env env);
  // May leave an exception pending.
  explicit Indexer(const Napi::CallbackInfo& info);

  void Finalize(Napi::BasicEnv env) override;

 private:
  friend class ScanJob;
  friend class HashJob;
  friend class FinishJob;
  friend class GuessJob;

  // What is being scanned and what waits for it, where one thread does that;
  // then what is being hashed and what waits for that.
  static constexpr size_t kMaxUnscanned = 2;
  static constexpr size_t kMaxUnhashed = 6;
  static constexpr size_t kChunks = LookAhead::kMaxChunks + kMaxUnhashed;

  struct Chunk {
    JobMemory memory;
    size_t size = 0;
    size_t scanned = 0;
  };

  Napi::Value Push(const Napi::CallbackInfo& info);
  Napi::Value Run(const Napi::CallbackInfo& info);
  Napi::Value Finish(const Napi::CallbackInfo& info);
  Napi::Value Abort(const Napi::CallbackInfo& info);

  // May leave an exception pending.
  LayerIndexer::Options ReadOptions(Napi::Env env, Napi::Value object);
  void ReadExpected(Napi::Value rows, Arguments* read);
  // The blocks of the TreeWriter that the tar goes into, or nullptr.
  static std::shared_ptr<TarBlocks> ReadOutput(Napi::Value output,
                                               Arguments* read);
  bool idle() const { return !scans_.busy() && pushed_ == scanned_; }
  void HoldScans(napi_env env);
  // Nobody needs this chunk any more.
  void EndChunk(Chunk* chunk);
  void Measure(size_t consumed, uint64_t produced);
  bool GuessesPay() const;
  // Has as many chunks decoded ahead as there are threads for. `self` is this.
  void GuessFurther(napi_env env, napi_value self);
  // Whether it scans, which takes a core.
  void SetActive(bool active);
  void ReportMemory(napi_env env, uint64_t checkpoints);

  // At most three runs wait behind the one under way. Held while hashing lags.
  JobQueue scans_{1, 4};
  // A few: see HoldScans. `finish` comes last.
  JobQueue hashes_{1, SIZE_MAX};
  JobQueue guesses_{LookAhead::kMaxThreads - 1, LookAhead::kMaxThreads - 1};
  std::atomic<bool> aborted_{false};
  // nullptr where one thread decodes, and once finished.
  std::shared_ptr<LookAhead> ahead_;
  size_t threads_ = 1;
  bool active_ = false;
  uint64_t produced_ = 0;
  // Of late scans, in bytes: earlier ones count less and less.
  double late_in_ = 0;
  double late_out_ = 0;
  // Indexers at work in the process, in whatever environment: they share its
  // cores.
  static std::atomic<size_t> active_count_;
  // Chunks in the order of the layer, each at its number modulo kChunks.
  Chunk chunks_[kChunks];
  // Memory of chunks that are over, which the next one takes from the end: what
  // was used last is in the processor's cache, and what was never used costs
  // nothing.
  JobMemory spare_[kChunks];
  size_t spares_ = 0;
  // Numbers of the next chunk to be pushed, scanned (which a pool thread
  // counts) and hashed.
  std::atomic<uint64_t> pushed_{0};
  std::atomic<uint64_t> scanned_{0};
  uint64_t hashed_ = 0;
  bool hash_lost_ = false;  // for want of memory
  // `finish` was called: from then on the layer belongs to its job. JS thread.
  bool finishing_ = false;
  std::unique_ptr<CheckpointPosition[]> expected_;
  size_t expected_count_ = 0;
  std::shared_ptr<TarBlocks> output_;    // nullptr if nobody writes files
  std::unique_ptr<LayerIndexer> layer_;  // nullptr once finished
  ExternalMemory memory_;
};

}  // namespace soci::addon
