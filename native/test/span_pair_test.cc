// Two spans at once come out as each of them alone does: the same bytes, the
// same error at the same place, the same count of what was taken. Spans of all
// shapes in all pairings, cut off, damaged, begun inside of a byte, with
// windows that are not theirs, with room for a few bytes only, in slices,
// aborted.
#include <algorithm>
#include <memory>

#include "../core/gzip_indexer.h"
#include "../core/span_decoder.h"
#include "gzip_data.h"
#include "unwritten.h"

namespace soci::test {
namespace {

struct Job {
  SpanDecoder::Options options;
  Bytes input;
  size_t out_len = 0;
};

struct Outcome {
  SpanDecoder::Progress progress;
  Bytes output;
};

// Input and output of one job in memory of exactly their sizes.
struct Memory {
  std::unique_ptr<uint8_t[]> in, out;

  explicit Memory(const Job& job)
      : in(new uint8_t[job.input.size()]), out(new uint8_t[job.out_len]) {
    std::copy(job.input.begin(), job.input.end(), in.get());
    MarkUnwritten(out.get(), job.out_len);
  }
  Outcome Of(const SpanDecoder::Progress& progress) const {
    return {progress, Bytes(out.get(), out.get() + progress.produced)};
  }
};

Outcome Alone(const Job& job) {
  const Memory memory(job);
  SpanDecoder decoder;
  CHECK(decoder.Start(job.options).ok());
  return memory.Of(decoder.Run(memory.in.get(), job.input.size(),
                               memory.out.get(), job.out_len, 0, nullptr));
}

struct Both {
  Outcome first, second;
};

Both Together(const Job& a, const Job& b) {
  const Memory memory_a(a), memory_b(b);
  SpanDecoder first, second;
  CHECK(first.Start(a.options).ok());
  CHECK(second.Start(b.options).ok());
  SpanDecoder::Call one = {&first,
                           memory_a.in.get(),
                           a.input.size(),
                           memory_a.out.get(),
                           a.out_len,
                           nullptr,
                           {}};
  SpanDecoder::Call other = {&second,
                             memory_b.in.get(),
                             b.input.size(),
                             memory_b.out.get(),
                             b.out_len,
                             nullptr,
                             {}};
  SpanDecoder::RunPair(&one, &other);
  return {memory_a.Of(one.progress), memory_b.Of(other.progress)};
}

bool Same(const Outcome& found, const Outcome& expected) {
  const SpanDecoder::Progress& a = found.progress;
  const SpanDecoder::Progress& b = expected.progress;
  return a.status.code == b.status.code && a.status.offset == b.status.offset &&
         a.consumed == b.consumed && a.produced == b.produced &&
         a.ended == b.ended && found.output == expected.output;
}

void Compare(const Job& a, const Job& b) {
  const Both both = Together(a, b);
  CHECK(Same(both.first, Alone(a)));
  CHECK(Same(both.second, Alone(b)));
}

class Counter final : public OutputSink {
 public:
  Status Write(const uint8_t* /*data*/, size_t len) override {
    size += len;
    return Status::Ok();
  }
  uint64_t size = 0;
};

// The spans of a layer, from their checkpoints, and the layer as one span from
// its header.
struct Layer {
  Bytes gzip;
  GzipIndexer indexer;
  std::vector<Job> jobs;

  explicit Layer(Bytes bytes, Engine engine = Engine::kFast)
      : gzip(std::move(bytes)) {
    GzipIndexer::Options options;
    options.span_size = 20000;
    options.max_checkpoints = 100000;
    Counter sink;
    SpanCuts cuts;
    size_t consumed = 0;
    CHECK(indexer.Init(options, &sink).ok());
    CHECK(indexer
              .Feed(gzip.data(), gzip.size(), UINT64_MAX, nullptr, &consumed,
                    &cuts)
              .ok());
    CHECK(indexer.Finish().ok());
    const CheckpointList& points = indexer.checkpoints();
    for (size_t i = 0; i < points.size(); i++) {
      const bool last = i + 1 == points.size();
      const uint64_t from = points[i].in - (points[i].bits > 0 ? 1 : 0);
      const uint64_t to = last ? gzip.size() : points[i + 1].in;
      const uint64_t end = last ? sink.size : points[i + 1].out;
      Job job;
      job.options.engine = engine;
      job.options.bits = points[i].bits;
      job.options.window = points[i].window;
      job.input.assign(gzip.begin() + static_cast<long>(from),
                       gzip.begin() + static_cast<long>(to));
      job.out_len = static_cast<size_t>(end - points[i].out);
      jobs.push_back(job);
    }
    Job whole;
    whole.options.engine = engine;
    whole.options.gzip_header = true;
    whole.input = gzip;
    whole.out_len = static_cast<size_t>(sink.size);
    jobs.push_back(whole);
  }
};

Bytes Members(const Bytes& data, size_t size) {
  Bytes gzip;
  for (size_t at = 0; at < data.size(); at += size) {
    const size_t end = std::min(at + size, data.size());
    Append(&gzip, Gzip(Bytes(data.begin() + static_cast<long>(at),
                             data.begin() + static_cast<long>(end))));
  }
  return gzip;
}

// Where literals are frequent, where matches are, fixed codes, stored blocks,
// long and short periods, members, and nothing.
std::vector<std::unique_ptr<Layer>> Layers() {
  const Bytes data = SampleData(120000, 5);
  std::vector<std::unique_ptr<Layer>> layers;
  for (const Bytes& gzip :
       {Gzip(data), Gzip(data, {6, Z_HUFFMAN_ONLY, 0, false}),
        Gzip(data, {6, Z_FIXED, 3000, true}),
        Gzip(data, {0, Z_DEFAULT_STRATEGY, 0, false}), Gzip(Bytes(300000)),
        Gzip(data, {9, Z_RLE, 0, false}), Gzip({}), Members(data, 7000)}) {
    layers.push_back(std::make_unique<Layer>(gzip));
  }
  return layers;
}

std::vector<Job> AllJobs(const std::vector<std::unique_ptr<Layer>>& layers) {
  std::vector<Job> jobs;
  for (const auto& layer : layers) {
    jobs.insert(jobs.end(), layer->jobs.begin(), layer->jobs.end());
  }
  return jobs;
}

void TestEveryPairing(const std::vector<Job>& jobs) {
  std::vector<Outcome> alone;
  for (const Job& job : jobs) alone.push_back(Alone(job));
  for (size_t i = 0; i < jobs.size(); i++) {
    CHECK(alone[i].progress.status.ok());
    CHECK_EQ(alone[i].output.size(), jobs[i].out_len);
    for (size_t j = 0; j < jobs.size(); j++) {
      const Both both = Together(jobs[i], jobs[j]);
      CHECK(Same(both.first, alone[i]));
      CHECK(Same(both.second, alone[j]));
    }
  }
}

// The other engine, or one of each.
void TestZlib() {
  const Bytes gzip = Gzip(SampleData(100000, 7));
  const Layer fast(gzip);
  const Layer zlib(gzip, Engine::kZlib);
  Compare(fast.jobs[0], zlib.jobs[1]);
  Compare(zlib.jobs[1], fast.jobs[0]);
  Compare(zlib.jobs[0], zlib.jobs[1]);
}

// Damages a job in one of the ways in which bytes from outside are wrong.
Job Damaged(Job job, const uint8_t* window, Random* random) {
  Bytes& input = job.input;
  switch (random->Below(6)) {
    case 0:
      input.resize(random->Below(input.size() + 1));
      break;
    case 1:
      for (size_t flips = 1 + random->Below(3); flips > 0; flips--) {
        if (input.empty()) break;
        input[random->Below(input.size())] ^=
            static_cast<uint8_t>(1 << random->Below(8));
      }
      break;
    case 2:
      job.out_len = random->Below(600);
      break;
    case 3:
      job.out_len += 1 + random->Below(1000);
      break;
    case 4:
      if (job.options.gzip_header) break;
      job.options.window = random->Below(2) == 0 ? nullptr : window;
      break;
    default:
      if (job.options.gzip_header) break;
      job.options.bits = static_cast<uint8_t>(random->Below(8));
      break;
  }
  return job;
}

void TestDamage(const std::vector<Job>& jobs) {
  Random random(11);
  const Bytes window = SampleData(kWindowSize, 12);
  for (int i = 0; i < 3000; i++) {
    Job a = jobs[random.Below(jobs.size())];
    Job b = jobs[random.Below(jobs.size())];
    a = Damaged(std::move(a), window.data(), &random);
    if (random.Below(2) == 0) b = Damaged(std::move(b), window.data(), &random);
    Compare(a, b);
    Compare(b, a);
  }
}

// Pieces of any size, each in memory of its own, so that one of the two is
// often done when the other is not, and elements are cut everywhere.
Both InSlices(const Job& a, const Job& b, Random* random) {
  struct Side {
    const Job& job;
    SpanDecoder decoder;
    size_t in = 0;
    SpanDecoder::Progress last;
    Bytes output;
  };
  Side sides[] = {{a, {}, 0, {}, {}}, {b, {}, 0, {}, {}}};
  for (Side& side : sides) CHECK(side.decoder.Start(side.job.options).ok());
  for (int rounds = 0; rounds < 100000; rounds++) {
    SpanDecoder::Call calls[2];
    Bytes ins[2];
    std::unique_ptr<uint8_t[]> outs[2];
    bool moved = false;
    for (size_t i = 0; i < 2; i++) {
      Side& side = sides[i];
      const size_t most = random->Below(8) == 0 ? 10 : 9000;
      const size_t in_len =
          std::min(random->Below(most), side.job.input.size() - side.in);
      const size_t out_len = std::min(random->Below(3 * most),
                                      side.job.out_len - side.output.size());
      const auto in = side.job.input.begin() + static_cast<long>(side.in);
      ins[i].assign(in, in + static_cast<long>(in_len));
      outs[i].reset(new uint8_t[out_len]);
      MarkUnwritten(outs[i].get(), out_len);
      calls[i] = {&side.decoder, ins[i].data(), in_len, outs[i].get(),
                  out_len,       nullptr,       {}};
    }
    SpanDecoder::RunPair(&calls[0], &calls[1]);
    for (size_t i = 0; i < 2; i++) {
      Side& side = sides[i];
      side.last = calls[i].progress;
      CHECK(side.last.consumed <= calls[i].in_len);
      side.in += side.last.consumed;
      side.output.insert(side.output.end(), outs[i].get(),
                         outs[i].get() + side.last.produced);
      CHECK(side.last.status.ok());
      moved |= side.output.size() < side.job.out_len;
    }
    if (!moved) break;
  }
  return {{sides[0].last, sides[0].output}, {sides[1].last, sides[1].output}};
}

void TestSlices(const std::vector<Job>& jobs) {
  Random random(13);
  for (int i = 0; i < 100; i++) {
    const Job& a = jobs[random.Below(jobs.size())];
    const Job& b = jobs[random.Below(jobs.size())];
    const Both both = InSlices(a, b, &random);
    CHECK(both.first.output == Alone(a).output);
    CHECK(both.second.output == Alone(b).output);
  }
}

// Raises a flag when so much is there.
class Raiser final : public OutputProgress {
 public:
  Raiser(size_t bytes, std::atomic<bool>* flag) : bytes_(bytes), flag_(flag) {}
  void Filled(size_t bytes) override {
    if (bytes >= bytes_) *flag_ = true;
  }

 private:
  size_t bytes_;
  std::atomic<bool>* flag_;
};

void TestAbort() {
  const Bytes data = SampleData(1 << 20, 17);
  const Bytes gzip = Gzip(data);
  for (const size_t when : {size_t{0}, size_t{200000}}) {
    for (const bool first : {true, false}) {
      std::atomic<bool> abort{when == 0};
      Raiser raiser(when, &abort);
      SpanDecoder::Options ended, whole;
      ended.gzip_header = whole.gzip_header = true;
      if (when > 0) ended.progress = &raiser;
      Bytes out_a(data.size()), out_b(data.size());
      SpanCall a = {&ended,       gzip.data(), gzip.size(), out_a.data(),
                    out_a.size(), &abort,      {}};
      SpanCall b = {&whole,       gzip.data(), gzip.size(), out_b.data(),
                    out_b.size(), nullptr,     {}};
      if (first) {
        DecodeSpanPair(&a, &b);
      } else {
        DecodeSpanPair(&b, &a);
      }
      CHECK(a.status.code == Code::kAborted);
      CHECK(b.status.ok());
      CHECK(out_b == data);
    }
  }
}

void TestMisuse() {
  const Bytes data = SampleData(50000, 19);
  const Bytes gzip = Gzip(data);
  SpanDecoder::Options right, wrong;
  right.gzip_header = wrong.gzip_header = true;
  wrong.bits = 1;
  Bytes out(data.size()), other(data.size());
  SpanCall a = {&right,     gzip.data(), gzip.size(), out.data(),
                out.size(), nullptr,     {}};
  SpanCall b = {&wrong,       gzip.data(), gzip.size(), other.data(),
                other.size(), nullptr,     {}};
  DecodeSpanPair(&a, &b);
  CHECK(a.status.ok());
  CHECK(out == data);
  CHECK(b.status.code == Code::kMisuse);
  std::fill(out.begin(), out.end(), uint8_t{0});
  DecodeSpanPair(&b, &a);
  CHECK(a.status.ok());
  CHECK(out == data);
  CHECK(b.status.code == Code::kMisuse);

  // An inflater that is over is so in a pair too.
  const auto over = MakeInflater(Engine::kFast);
  const auto fresh = MakeInflater(Engine::kFast);
  const uint8_t empty[] = {3, 0};  // a final block of fixed codes, at its end
  CHECK(fresh->Start(0, 0, nullptr).ok());
  Inflater::Call one = {over.get(), empty, 2, nullptr, 0, 0, {}};
  Inflater::Call two = {fresh.get(), empty, 2, nullptr, 0, 0, {}};
  RunFastPair(&one, &two);
  CHECK(one.result.event == Inflater::Event::kError);
  CHECK(one.result.status.code == Code::kMisuse);
  CHECK(two.result.event == Inflater::Event::kStreamEnd);
  CHECK_EQ(two.result.consumed, 2u);
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  const auto layers = Layers();
  const std::vector<Job> jobs = AllJobs(layers);
  TestEveryPairing(jobs);
  TestZlib();
  TestDamage(jobs);
  TestSlices(jobs);
  TestAbort();
  TestMisuse();
  return Report("span_pair");
}
