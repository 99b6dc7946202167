#include "addon/decode_job.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "addon/abort_flag.h"
#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/failure.h"
#include "addon/job_result.h"
#include "addon/span_options.h"

namespace soci::addon {
namespace {

// Output is copied early in pieces of at least this: some 30 us of the JS
// thread's time, and as much for waking it up.
constexpr size_t kEarlyStep = size_t{512} << 10;

}  // namespace

// What script asks for, pointing into its arrays.
struct SpanArguments {
  SpanCodec codec = SpanCodec::kGzip;
  SpanDecoder::Options start;
  Bytes input;  // without `data`: the file
  int fd = -1;
  uint64_t offset = 0;
  size_t length = 0;
  std::optional<FileIdentity> was;
  bool pinned_output = false;
  bool resizable_output = false;
  bool bulk = false;
  Bytes output;
  Bytes digest;
  size_t digest_offset = 0;
  napi_value output_array = nullptr;

  // May leave an exception pending. Every property first, every pointer after:
  // see span_options.h.
  void Read(Napi::Value job, Arguments* read) {
    const auto get = [&](const char* name) {
      return read->Property(job, name);
    };
    const Napi::Value raw = get("raw");
    const Napi::Value stored = get("input");
    const Napi::Value file = get("fd");
    const Napi::Value at = get("offset");
    const Napi::Value size = get("length");
    const Napi::Value file_size = get("fileSize");
    const Napi::Value inode = get("fileInode");
    const Napi::Value modified = get("fileModified");
    const Napi::Value target = get("output");
    const Napi::Value pinned_out = get("pinnedOutput");
    const Napi::Value resizable_out = get("resizableOutput");
    const Napi::Value expected = get("digest");
    const Napi::Value from = get("digestOffset");
    const Napi::Value many = get("bulk");
    const SpanOptions properties(job, read);
    if (read->ReadBool(raw, "raw")) {
      codec = SpanCodec::kRaw;
    } else {
      start = properties.Read(read);
    }
    input = read->ReadOptionalBytes(stored, "input");
    length = input.size;
    if (input.data == nullptr) {
      const uint64_t number = read->ReadOffset(file, "fd");
      if (number > INT_MAX) read->Refuse("expected a file descriptor for fd");
      fd = static_cast<int>(number);
      offset = read->ReadOffset(at, "offset");
      length = static_cast<size_t>(read->ReadOffset(size, "length"));
      if (!file_size.IsUndefined()) {
        was.emplace();
        was->size = read->ReadUint64(file_size, "fileSize");
        was->inode = read->ReadUint64(inode, "fileInode");
        if (!modified.IsUndefined()) {
          was->modified_ns = read->ReadInt64(modified, "fileModified");
        }
      }
    }
    output = read->ReadBytes(target, "output");
    pinned_output = read->ReadBool(pinned_out, "pinnedOutput");
    resizable_output = read->ReadBool(resizable_out, "resizableOutput");
    bulk = read->ReadBool(many, "bulk");
    digest = read->ReadOptionalBytes(expected, "digest");
    if (digest.data != nullptr && digest.size != Sha256::kDigestSize) {
      read->Refuse("expected 32 bytes for digest");
    }
    digest_offset = static_cast<size_t>(read->ReadOffset(from, "digestOffset"));
    if (digest_offset > length) {
      read->Refuse("expected digestOffset within input");
    }
    output_array = target;
  }
};

DecodeJob::DecodeJob(Environment* environment, JobSlot* slot)
    : PoolJob(environment->decodes(), slot), environment_(environment) {}

DecodeJob::~DecodeJob() {
  environment_->early_copies()->Remove(this);
  if (fd_ >= 0) close(fd_);
}

Status DecodeJob::Own(const SpanArguments& arguments) {
  bulk_ = arguments.bulk;
  span_.codec = arguments.codec;
  span_.start = arguments.start;
  span_.checked = arguments.digest.data != nullptr;
  if (span_.checked) {
    memcpy(span_.digest, arguments.digest.data, sizeof span_.digest);
  }
  span_.digest_offset = arguments.digest_offset;
  ScratchPool* const scratch = environment_->scratch();
  const size_t window = span_.start.window == nullptr ? 0 : kWindowSize;
  const size_t stored = arguments.length;
  if (stored > SIZE_MAX - window) return Status::At(Code::kNoMemory, 0);
  if (stored + window > 0) {
    room_ = scratch->Take(stored + window);
    if (room_.data() == nullptr) return Status::At(Code::kNoMemory, 0);
  }
  if (window > 0) {
    memcpy(room_.data() + stored, span_.start.window, window);
    span_.start.window = room_.data() + stored;
  }
  if (arguments.input.data == nullptr) {
    // So that script may close its own, and open something else under its
    // number.
    fd_ = fcntl(arguments.fd, F_DUPFD_CLOEXEC, 0);
    if (fd_ < 0) return Status::System(Code::kInputRead, errno, 0);
    span_.stored =
        StoredBytes::InFile(fd_, arguments.offset, stored, arguments.was);
  } else {
    uint8_t* const copy = room_.data();
    if (stored > 0) memcpy(copy, arguments.input.data, stored);
    static const uint8_t nothing = 0;
    span_.stored =
        StoredBytes::InMemory(copy == nullptr ? &nothing : copy, stored);
  }
  output_ = arguments.output.data;
  output_size_ = arguments.output.size;
  if (arguments.pinned_output) return Status::Ok();
  copied_ = scratch->Take(output_size_);
  output_ = copied_.data();
  if (output_ == nullptr) return Status::At(Code::kNoMemory, 0);
  if (!arguments.resizable_output && output_size_ > kEarlyStep) {
    span_.start.progress = this;
    environment_->early_copies()->Add(this);
  }
  return Status::Ok();
}

Status DecodeJob::Execute(const std::atomic<bool>* aborted) {
  return span_.Decode(room_.data(), output_, output_size_, aborted);
}

// Only decode jobs pair.
void DecodeJob::ExecutePair(PoolJob* other, Status* status,
                            Status* other_status) {
  VerifiedSpan::Call first = Call();
  VerifiedSpan::Call second = static_cast<DecodeJob*>(other)->Call();
  VerifiedSpan::DecodePair(&first, &second);
  *status = first.status;
  *other_status = second.status;
}

VerifiedSpan::Call DecodeJob::Call() {
  return {&span_, room_.data(), output_, output_size_, aborted(), {}};
}

void DecodeJob::Filled(size_t bytes) {
  filled_.store(bytes, std::memory_order_release);
  if (bytes - announced_ < kEarlyStep || bytes == output_size_) return;
  announced_ = bytes;
  environment_->Signal();
}

bool DecodeJob::CopyFilled(napi_env env) {
  constexpr size_t kOutput = 0;  // among the held values
  const size_t filled = filled_.load(std::memory_order_acquire);
  uint8_t* const array = ArrayOf(env, Held(env, kOutput), output_size_);
  if (array == nullptr) return false;
  memcpy(array + copied_size_, output_ + copied_size_, filled - copied_size_);
  copied_size_ = filled;
  return true;
}

napi_value DecodeJob::Result(napi_env env, Status* status) {
  if (copied_.data() != nullptr) {
    filled_.store(output_size_, std::memory_order_relaxed);
    if (!CopyFilled(env)) {
      *status = Status::At(Code::kMisuse, 0);
      return nullptr;
    }
  }
  napi_value undefined = nullptr;
  napi_get_undefined(env, &undefined);
  return undefined;
}

Napi::Value DecodeSpan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  JobSlot* slot = nullptr;
  Napi::Value flag;
  if (!info[1].IsUndefined()) {
    flag = info[1];
    AbortFlag* const object = AbortFlag::From(env, flag);
    if (object == nullptr) return {};
    slot = object->slot();
  }
  Arguments read(env);
  SpanArguments arguments;
  arguments.Read(info[0], &read);
  if (!read.ok()) return {};
  std::unique_ptr<DecodeJob> job(new (std::nothrow)
                                     DecodeJob(Environment::Of(env), slot));
  const Status owned =
      job == nullptr ? Status::At(Code::kNoMemory, 0) : job->Own(arguments);
  if (!owned.ok()) return ThrowStatus(env, owned);
  return {env,
          PoolJob::Queue(env, std::move(job), {arguments.output_array, flag})};
}

Napi::Value SetDecodeConcurrency(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  const uint64_t threads = read.ReadOffset(info[0], "threads");
  if (threads == 0) read.Refuse("expected a thread at least");
  if (read.ok()) Environment::Of(env)->decodes()->set_width(env, threads);
  return env.Undefined();
}

}  // namespace soci::addon
