#include "zlib_inflater.h"

#include <zlib.h>

#include <algorithm>
#include <climits>
#include <new>

namespace soci {
namespace {

constexpr int kRawDeflate = -15;  // no header, windows of up to 32 KiB
// What inflate() leaves in z_stream.data_type when it returns (zlib.h,
// Z_BLOCK).
constexpr int kAtBlockBoundary = 128;
constexpr int kInFinalBlock = 64;
constexpr int kUnusedBits = 7;

class ZlibInflater final : public Inflater {
 public:
  ~ZlibInflater() override {
    if (initialized_) inflateEnd(&stream_);
  }

  bool Init() {
    initialized_ = inflateInit2(&stream_, kRawDeflate) == Z_OK;
    return initialized_;
  }

  Status Start(uint8_t bits, uint8_t partial, const uint8_t* window) override {
    if (bits > 7) return Status::At(Code::kMisuse, 0);
    inflateReset(&stream_);
    if (bits > 0) inflatePrime(&stream_, bits, partial >> (8 - bits));
    if (window != nullptr &&
        inflateSetDictionary(&stream_, window, kWindowSize) != Z_OK) {
      return Status::At(Code::kNoMemory, 0);
    }
    first_block_bits_ = bits;
    at_first_block_ = true;
    running_ = true;
    return Status::Ok();
  }

  // zlib keeps the last 32 KiB of output itself, wherever it was written.
  void Rebase(const uint8_t* /*window*/) override {}

  Result Run(const uint8_t* in, size_t in_len, uint8_t* out, size_t out_len,
             size_t /*history*/, bool stop_at_blocks) override {
    Result result = {Event::kError, 0, 0, 0, Status::Ok()};
    if (!running_) {
      result.status = Status::At(Code::kMisuse, 0);
      return result;
    }
    // A raw stream has no header for zlib to stop behind.
    if (at_first_block_ && stop_at_blocks) {
      at_first_block_ = false;
      result.event = Event::kBlockStart;
      result.bits = first_block_bits_;
      return result;
    }
    at_first_block_ = false;

    for (;;) {
      const size_t in_left = in_len - result.consumed;
      const size_t out_left = out_len - result.produced;
      const size_t in_now = std::min<size_t>(in_left, UINT_MAX);
      const size_t out_now = std::min<size_t>(out_left, UINT_MAX);
      uint8_t no_output;
      stream_.next_in = const_cast<Bytef*>(in + result.consumed);
      stream_.avail_in = static_cast<uInt>(in_now);
      stream_.next_out = out_now > 0 ? out + result.produced : &no_output;
      stream_.avail_out = static_cast<uInt>(out_now);
      const int code = inflate(&stream_, stop_at_blocks ? Z_BLOCK : Z_NO_FLUSH);
      const size_t consumed = in_now - stream_.avail_in;
      const size_t produced = out_now - stream_.avail_out;
      result.consumed += consumed;
      result.produced += produced;

      if (code == Z_STREAM_END) {
        running_ = false;
        result.event = Event::kStreamEnd;
        return result;
      }
      if (code != Z_OK && code != Z_BUF_ERROR) {
        running_ = false;
        result.status = Status::At(
            code == Z_MEM_ERROR ? Code::kNoMemory : Code::kDeflateData,
            result.consumed);
        return result;
      }
      if (stop_at_blocks && (stream_.data_type & kAtBlockBoundary) != 0) {
        // Behind the final block one more call, which needs no input, ends the
        // stream.
        if ((stream_.data_type & kInFinalBlock) != 0) continue;
        result.event = Event::kBlockStart;
        result.bits = static_cast<uint8_t>(stream_.data_type & kUnusedBits);
        return result;
      }
      // Output first: when both are used up, more of it may be pending.
      if (result.produced == out_len) {
        result.event = Event::kOutputFull;
        return result;
      }
      if (result.consumed == in_len) {
        result.event = Event::kNeedInput;
        return result;
      }
      if (consumed == 0 && produced == 0) {
        running_ = false;
        result.status = Status::At(Code::kDeflateData, result.consumed);
        return result;
      }
    }
  }

 private:
  z_stream stream_ = {};
  bool initialized_ = false;
  bool running_ = false;
  bool at_first_block_ = false;
  uint8_t first_block_bits_ = 0;
};

}  // namespace

std::unique_ptr<Inflater> MakeZlibInflater() {
  std::unique_ptr<ZlibInflater> inflater(new (std::nothrow) ZlibInflater);
  if (inflater != nullptr && !inflater->Init()) return nullptr;
  return inflater;
}

}  // namespace soci
