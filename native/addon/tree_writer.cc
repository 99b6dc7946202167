#include "addon/tree_writer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "addon/failure.h"
#include "addon/job_memory.h"
#include "addon/job_result.h"
#include "addon/tree_job.h"

namespace soci::addon {
namespace {

// File systems gain nothing from more, and script may not use up the pool.
constexpr uint64_t kMaxWidth = 64;

// 0 leaves one thread of the pool to what decodes the tar meanwhile.
size_t Width(uint64_t asked) {
  if (asked == 0) asked = PoolThreads() - 1;
  return static_cast<size_t>(std::clamp<uint64_t>(asked, 1, kMaxWidth));
}

}  // namespace

Napi::Function TreeWriterObject::Define(Napi::Env env) {
  return DefineClass(env, "TreeWriter",
                     {
                         Checked<&TreeWriterObject::Add>("add"),
                         Checked<&TreeWriterObject::Release>("release"),
                         Checked<&TreeWriterObject::Held>("held"),
                         Checked<&TreeWriterObject::Read>("read"),
                         Checked<&TreeWriterObject::Run>("run"),
                         Checked<&TreeWriterObject::Abort>("abort"),
                         Checked<&TreeWriterObject::Close>("close"),
                     });
}

TreeWriterObject::TreeWriterObject(const Napi::CallbackInfo& info)
    : TaggedWrap(info) {
  const Napi::Env env = info.Env();
  if (env.IsExceptionPending()) return;
  Arguments read(env);
  const auto get = [&](const char* name) {
    return read.Property(info[0], name);
  };
  const uint64_t root = read.ReadOffset(get("root"), "root");
  const uint64_t width = read.ReadOffset(get("width"), "width");
  TreeWriter::Options options;
  options.owners = read.ReadBool(get("owners"), "owners");
  options.privileged = read.ReadBool(get("privileged"), "privileged");
  if (root > INT32_MAX) read.Refuse("expected a file descriptor for root");
  if (!read.ok()) return;
  blocks_.reset(new (std::nothrow) TarBlocks);
  writer_.reset(new (std::nothrow) TreeWriter(options, blocks_));
  if (blocks_ == nullptr || writer_ == nullptr) {
    ThrowStatus(env, Status::At(Code::kNoMemory, 0));
    return;
  }
  const TreeFailure failure = writer_->Open(static_cast<int>(root));
  if (!failure.ok()) {
    ThrowStatus(env, Status::System(Code::kMisuse, failure.error, 0));
    return;
  }
  batches_.set_width(env, Width(width));
}

Napi::Value TreeWriterObject::Add(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  const uint64_t offset = read.ReadOffset(info[0], "offset");
  const Bytes bytes = read.ReadBytes(info[1], "bytes");
  if (!read.ok()) return {};
  const Status status = blocks_->Append(offset, bytes.data, bytes.size);
  ReportMemory(env);
  return status.ok() ? env.Undefined() : ThrowStatus(env, status);
}

Napi::Value TreeWriterObject::Release(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  const uint64_t offset = read.ReadOffset(info[0], "offset");
  if (!read.ok()) return {};
  blocks_->Release(offset);
  ReportMemory(env);
  return env.Undefined();
}

Napi::Value TreeWriterObject::Held(const Napi::CallbackInfo& info) {
  ReportMemory(info.Env());
  return Napi::Number::New(info.Env(), static_cast<double>(blocks_->held()));
}

Napi::Value TreeWriterObject::Read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  const uint64_t offset = read.ReadOffset(info[0], "offset");
  const uint64_t length = read.ReadOffset(info[1], "length");
  if (!read.ok()) return {};
  // Nothing is allocated for what cannot be there.
  if (length > blocks_->held()) {
    return ThrowStatus(env, Status::At(Code::kMisuse, offset));
  }
  uint8_t* data = nullptr;
  const napi_value array = MakeBytes(env, static_cast<size_t>(length), &data);
  if (array == nullptr) {
    return ThrowStatus(env, Status::At(Code::kNoMemory, offset));
  }
  if (!blocks_->Copy(offset, static_cast<size_t>(length), data)) {
    return ThrowStatus(env, Status::At(Code::kMisuse, offset));
  }
  return {env, array};
}

Napi::Value TreeWriterObject::Run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  const Bytes bytes = read.ReadBytes(info[0], "batch");
  if (bytes.size > kMaxBatch) read.Refuse("expected at most 1 MiB for batch");
  if (!read.ok()) return {};
  JobMemory batch;
  if (!batch.Reserve(bytes.size)) {
    return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  }
  memcpy(batch.data(), bytes.data, bytes.size);
  return {env, PoolJob::Queue(
                   env, NewJob<TreeJob>(this, std::move(batch), bytes.size),
                   {info.This()})};
}

Napi::Value TreeWriterObject::Abort(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  aborted_.store(true, std::memory_order_relaxed);
  batches_.Abort(env);
  CloseIfIdle();
  ReportMemory(env);
  return env.Undefined();
}

Napi::Value TreeWriterObject::Close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (batches_.busy()) return ThrowStatus(env, Status::At(Code::kMisuse, 0));
  writer_->Close();
  blocks_->Close();
  ReportMemory(env);
  return env.Undefined();
}

void TreeWriterObject::CloseIfIdle() {
  if (!aborted_.load(std::memory_order_relaxed) || batches_.busy()) return;
  writer_->Close();
  blocks_->Close();
}

void TreeWriterObject::ReportMemory(napi_env env) {
  memory_.Set(env, blocks_->memory());
}

}  // namespace soci::addon
