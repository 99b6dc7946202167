// Executes one batch of a TreeWriter. Resolves to a BatchResult of
// lib/native-tree.ts.
#pragma once

#include <cstddef>

#include "addon/job_memory.h"
#include "addon/pool_job.h"
#include "addon/tree_writer.h"

namespace soci::addon {

class TreeJob final : public PoolJob {
 public:
  // `batch`: the job's own copy, of `size` bytes.
  TreeJob(TreeWriterObject* writer, JobMemory batch, size_t size);

 private:
  Status Execute(const std::atomic<bool>* aborted) override;
  void Executed(napi_env env, Status status) override;
  napi_value Result(napi_env env, Status* status) override;

  TreeWriterObject* writer_;
  JobMemory batch_;
  size_t size_;
  BatchResult result_;
};

}  // namespace soci::addon
