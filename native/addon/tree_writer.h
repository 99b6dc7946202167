// The JavaScript class TreeWriter over the core's: batches of operations, each
// a job of the pool, several at once; and the bytes of the tar that they write
// from, which script adds, or an Indexer whose output this is.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "addon/arguments.h"
#include "addon/external_memory.h"
#include "addon/job_queue.h"
#include "addon/tagged_wrap.h"
#include "core/tree/tar_blocks.h"
#include "core/tree/tree_writer.h"

namespace soci::addon {

class TreeWriterObject final : public TaggedWrap<TreeWriterObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  // May leave an exception pending.
  explicit TreeWriterObject(const Napi::CallbackInfo& info);

  void Finalize(Napi::BasicEnv env) override { memory_.Set(env, 0); }

  std::shared_ptr<TarBlocks> blocks() const { return blocks_; }

 private:
  friend class TreeJob;

  static constexpr size_t kMaxBatch = size_t{1} << 20;

  Napi::Value Add(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);
  Napi::Value Held(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Run(const Napi::CallbackInfo& info);
  Napi::Value Abort(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  // Once aborted: what no batch under way needs any more goes.
  void CloseIfIdle();
  // Script learns of blocks that an Indexer filled when it is next called.
  void ReportMemory(napi_env env);

  JobQueue batches_{1, SIZE_MAX};
  std::atomic<bool> aborted_{false};
  // An Indexer may hold them longer; closed they take nothing any more.
  std::shared_ptr<TarBlocks> blocks_;
  std::unique_ptr<TreeWriter> writer_;
  ExternalMemory memory_;
};

}  // namespace soci::addon
