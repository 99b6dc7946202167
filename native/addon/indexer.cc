#include "addon/indexer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "addon/failure.h"
#include "addon/finish_job.h"
#include "addon/guess_job.h"
#include "addon/scan_job.h"

#if !defined(_WIN32)
#include "addon/tree_writer.h"
#endif

namespace soci::addon {
namespace {

// What was hardly compressed is decoded in order about as fast as it could be
// copied, and what was compressed to less than a good fifth about as fast as
// the markers of a guess are replaced: there a guess costs the other core, and
// saves nothing.
constexpr double kLeastExpansion = 1.25;
constexpr double kMostExpansion = 4.5;
// How much what was known counts after another scan.
constexpr double kPast = 0.75;
constexpr double kLeastSeen = 2 << 20;  // bytes

}  // namespace

std::atomic<size_t> Indexer::active_count_{0};

Napi::Function Indexer::Define(Napi::Env env) {
  return DefineClass(env, "Indexer",
                     {
                         Checked<&Indexer::Push>("push"),
                         Checked<&Indexer::Run>("run"),
                         Checked<&Indexer::Finish>("finish"),
                         Checked<&Indexer::Abort>("abort"),
                     });
}

Indexer::Indexer(const Napi::CallbackInfo& info) : TaggedWrap(info) {
  const Napi::Env env = info.Env();
  if (env.IsExceptionPending()) return;
  LayerIndexer::Options options = ReadOptions(env, info[0]);
  if (env.IsExceptionPending()) return;
  if (threads_ > 1 && options.compression == Compression::kGzip &&
      options.engine == Engine::kFast) {
    ahead_.reset(new (std::nothrow) LookAhead(threads_));
  }
  options.ahead = ahead_.get();
  layer_.reset(new (std::nothrow) LayerIndexer);
  const Status status = layer_ == nullptr ? Status::At(Code::kNoMemory, 0)
                                          : layer_->Init(options);
  if (!status.ok()) {
    ThrowStatus(env, status);
    return;
  }
  ReportMemory(env, 0);
}

void Indexer::Finalize(Napi::BasicEnv env) {
  memory_.Set(env, 0);
  SetActive(false);
}

Napi::Value Indexer::Push(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  const Bytes bytes = read.ReadBytes(info[0], "chunk");
  if (!read.ok()) return {};
  if (aborted_.load(std::memory_order_relaxed)) {
    return ThrowStatus(env, Status::At(Code::kAborted, 0));
  }
  if (finishing_) return ThrowStatus(env, Status::At(Code::kMisuse, 0));
  if (hash_lost_) return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  const size_t max_unscanned =
      ahead_ != nullptr && GuessesPay() ? LookAhead::kMaxChunks : kMaxUnscanned;
  if (bytes.size == 0 || pushed_ - scanned_ >= max_unscanned ||
      pushed_ - hashed_ >= max_unscanned + kMaxUnhashed) {
    return Napi::Number::New(env, 0);
  }
  Chunk* chunk = &chunks_[pushed_ % kChunks];
  chunk->size = std::min(bytes.size, kMaxJobInput);
  chunk->scanned = 0;
  if (spares_ > 0) chunk->memory = std::move(spare_[--spares_]);
  if (!chunk->memory.Reserve(chunk->size)) {
    return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  }
  memcpy(chunk->memory.data(), bytes.data, chunk->size);
  if (ahead_ != nullptr) ahead_->Add(chunk->memory.data(), chunk->size);
  pushed_.fetch_add(1, std::memory_order_release);
  GuessFurther(env, info.This());
  return Napi::Number::New(env, static_cast<double>(chunk->size));
}

Napi::Value Indexer::Run(const Napi::CallbackInfo& info) {
  if (!finishing_) SetActive(true);
  return {info.Env(),
          PoolJob::Queue(info.Env(), NewJob<ScanJob>(this), {info.This()})};
}

Napi::Value Indexer::Finish(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (hash_lost_) return ThrowStatus(env, Status::At(Code::kNoMemory, 0));
  const bool misused = finishing_ || !idle();
  if (!misused) finishing_ = true;
  return {env,
          PoolJob::Queue(env, NewJob<FinishJob>(this, misused), {info.This()})};
}

Napi::Value Indexer::Abort(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  aborted_.store(true, std::memory_order_relaxed);
  if (ahead_ != nullptr) ahead_->Stop();
  SetActive(false);
  scans_.Abort(env);
  hashes_.Abort(env);
  return env.Undefined();
}

LayerIndexer::Options Indexer::ReadOptions(Napi::Env env, Napi::Value object) {
  Arguments read(env);
  const auto get = [&](const char* name) {
    return read.Property(object, name);
  };
  LayerIndexer::Options options;
  options.compression = read.ReadBool(get("gzip"), "gzip")
                            ? Compression::kGzip
                            : Compression::kUncompressed;
  options.span_size = read.ReadOffset(get("spanSize"), "spanSize");
  options.diff_id = read.ReadBool(get("diffId"), "diffId");
  options.engine = read.ReadEngine(get("engine"));
  threads_ = static_cast<size_t>(
      std::min({read.ReadOffset(get("threads"), "threads"),
                uint64_t{LookAhead::kMaxThreads}, uint64_t{PoolThreads()}}));
  options.max_checkpoints =
      read.ReadOffset(get("maxCheckpoints"), "maxCheckpoints");
  options.expected_first_implied =
      read.ReadBool(get("impliedFirstCheckpoint"), "impliedFirstCheckpoint");
  output_ = ReadOutput(get("output"), &read);
  options.output = output_.get();
  const Napi::Value rows = get("checkpointsAt");
  if (!read.ok() || rows.IsUndefined()) return options;
  ReadExpected(rows, &read);
  options.expected = expected_.get();
  options.expected_count = expected_count_;
  return options;
}

std::shared_ptr<TarBlocks> Indexer::ReadOutput(Napi::Value output,
                                               Arguments* read) {
  if (!read->ok() || output.IsUndefined()) return nullptr;
#if !defined(_WIN32)
  TreeWriterObject* const writer = TreeWriterObject::From(output.Env(), output);
  if (writer != nullptr) return writer->blocks();
#endif
  read->Refuse("expected a TreeWriter for output");
  return nullptr;
}

void Indexer::ReadExpected(Napi::Value rows, Arguments* read) {
  if (!rows.IsTypedArray() ||
      rows.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array ||
      rows.As<Napi::Float64Array>().ElementLength() % 3 != 0 ||
      rows.As<Napi::Float64Array>().ElementLength() == 0) {
    read->Refuse("expected a Float64Array of rows for checkpointsAt");
    return;
  }
  auto array = rows.As<Napi::Float64Array>();
  expected_count_ = array.ElementLength() / 3;
  expected_.reset(new (std::nothrow) CheckpointPosition[expected_count_]);
  if (expected_ == nullptr) {
    ThrowStatus(rows.Env(), Status::At(Code::kNoMemory, 0));
    return;
  }
  const double* row = array.Data();
  for (size_t i = 0; i < expected_count_; i++, row += 3) {
    if (!Arguments::IsOffset(row[0]) || !Arguments::IsOffset(row[1]) ||
        !Arguments::IsOffset(row[2]) || row[2] > 7) {
      read->Refuse("expected offsets and bits for checkpointsAt");
      return;
    }
    expected_[i] = {static_cast<uint64_t>(row[0]),
                    static_cast<uint64_t>(row[1]),
                    static_cast<uint8_t>(row[2])};
  }
}

// This bounds the chunks that wait to be hashed: at most three scans that
// script asked for before follow.
void Indexer::HoldScans(napi_env env) {
  scans_.Hold(env, hashes_.size() >= kMaxUnhashed);
}

void Indexer::EndChunk(Chunk* chunk) {
  spare_[spares_++] = std::move(chunk->memory);
  hashed_++;
}

void Indexer::Measure(size_t consumed, uint64_t produced) {
  late_in_ = kPast * late_in_ + static_cast<double>(consumed);
  late_out_ = kPast * late_out_ + static_cast<double>(produced - produced_);
  produced_ = produced;
}

// A short layer is over before the memory of a guess is there.
bool Indexer::GuessesPay() const {
  return late_in_ >= kLeastSeen && late_out_ >= kLeastExpansion * late_in_ &&
         late_out_ <= kMostExpansion * late_in_;
}

// Cores that other layers are scanned on are not free.
void Indexer::GuessFurther(napi_env env, napi_value self) {
  if (ahead_ == nullptr || !GuessesPay()) return;
  const size_t active = active_count_;
  const size_t threads = active > 1 ? threads_ / active : threads_;
  while (guesses_.size() + 1 < threads && ahead_->Wanted()) {
    if (!PoolJob::QueueUnseen(env, NewJob<GuessJob>(this), {self})) return;
  }
}

void Indexer::SetActive(bool active) {
  if (active_ == active) return;
  active_ = active;
  active_count_ += active ? 1 : -1;
}

void Indexer::ReportMemory(napi_env env, uint64_t checkpoints) {
  // Output window and inflate state, roughly; the checkpoints are what grows.
  constexpr uint64_t kFixed = 256 << 10;
  uint64_t bytes = 0;
  for (const Chunk& chunk : chunks_) bytes += chunk.memory.capacity();
  for (size_t i = 0; i < spares_; i++) bytes += spare_[i].capacity();
  if (ahead_ != nullptr) bytes += ahead_->memory();
  if (layer_ != nullptr) {
    bytes += kFixed + checkpoints * uint64_t{CheckpointList::kRecordSize};
  }
  memory_.Set(env, bytes);
}

}  // namespace soci::addon
