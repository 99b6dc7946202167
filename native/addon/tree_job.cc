#include "addon/tree_job.h"

#include <utility>

#include "addon/job_result.h"

namespace soci::addon {

TreeJob::TreeJob(TreeWriterObject* writer, JobMemory batch, size_t size)
    : PoolJob(&writer->batches_, &writer->aborted_),
      writer_(writer),
      batch_(std::move(batch)),
      size_(size) {}

Status TreeJob::Execute(const std::atomic<bool>* aborted) {
  if (!writer_->writer_->open()) return Status::At(Code::kMisuse, 0);
  writer_->writer_->Run(batch_.data(), size_, aborted, &result_);
  return Status::Ok();
}

void TreeJob::Executed(napi_env env, Status /*status*/) {
  writer_->CloseIfIdle();
  writer_->ReportMemory(env);
}

napi_value TreeJob::Result(napi_env env, Status* /*status*/) {
  JobResult result(env);
  if (!result_.failure.ok()) {
    JobResult failed(env);
    failed.Number("operation", result_.operation);
    failed.Text("call", result_.failure.call);
    failed.Number("errno", static_cast<uint64_t>(result_.failure.error));
    result.Set("failed", failed.get());
  }
  result.Number("skippedOwners", result_.left_out.owners);
  result.Number("skippedXattrs", result_.left_out.xattrs);
  result.Number("skippedDevices", result_.left_out.devices);
  return result.get();
}

}  // namespace soci::addon
