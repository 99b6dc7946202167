// Times the engines on gzip files, interleaved, and prints one JSON object per
// file: medians of the throughput in MB of output per second of processor
// time. Usage: engines ROUNDS FILE...
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "engines.h"

namespace {

using bench::Span;
using bench::Stream;

double ProcessorSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Trial {
  std::string name;
  std::function<bool(uint8_t* out)> run;
  std::vector<double> seconds;
};

using SpanDecoder = bool (*)(const Stream&, const Span&, uint8_t*);

Trial BySpans(std::string name, SpanDecoder decode, const Stream& stream,
              const std::vector<Span>& spans) {
  return {std::move(name),
          [decode, &stream, &spans](uint8_t* out) {
            for (const Span& span : spans)
              if (!decode(stream, span, out + span.out)) return false;
            return true;
          },
          {}};
}

Trial ByPairs(std::string name, const Stream& stream,
              const std::vector<Span>& spans) {
  return {std::move(name),
          [&stream, &spans](uint8_t* out) {
            for (size_t i = 0; i < spans.size(); i += 2) {
              const bool ok =
                  i + 1 < spans.size()
                      ? bench::FastPair(stream, spans[i], spans[i + 1], out)
                      : bench::FastSpan(stream, spans[i], out + spans[i].out);
              if (!ok) return false;
            }
            return true;
          },
          {}};
}

void Measure(const char* path, int rounds) {
  const Stream stream = bench::LoadStream(path);
  const std::vector<Span> small = bench::CutSpans(stream, 256 << 10);
  const std::vector<Span> middle = bench::CutSpans(stream, 1 << 20);
  const std::vector<Span> large = bench::CutSpans(stream, 4 << 20);
  using bench::FastSpan;
  std::vector<Trial> trials;
  trials.push_back(
      {"zlib", [&](uint8_t* out) { return ZlibWhole(stream, out); }, {}});
#ifdef BENCH_LIBDEFLATE
  trials.push_back({"libdeflate",
                    [&](uint8_t* out) { return LibdeflateWhole(stream, out); },
                    {}});
#endif
#ifdef BENCH_ISAL
  trials.push_back(BySpans("isal 4M", bench::IsalSpan, stream, large));
  trials.push_back(BySpans("isal 256K", bench::IsalSpan, stream, small));
#endif
  trials.push_back(
      {"fast", [&](uint8_t* out) { return FastWhole(stream, out); }, {}});
  trials.push_back(BySpans("zlib 4M", bench::ZlibSpan, stream, large));
  trials.push_back(BySpans("fast 4M", FastSpan, stream, large));
  trials.push_back(ByPairs("fast 4M pairs", stream, large));
  trials.push_back(BySpans("fast 1M", FastSpan, stream, middle));
  trials.push_back(BySpans("fast 256K", FastSpan, stream, small));

  std::vector<uint8_t> out(stream.decoded.size());
  for (int round = 0; round < rounds; round++) {
    for (Trial& trial : trials) {
      if (round == 0) std::fill(out.begin(), out.end(), uint8_t{0xa5});
      const double start = ProcessorSeconds();
      const bool ok = trial.run(out.data());
      trial.seconds.push_back(ProcessorSeconds() - start);
      if (!ok || (round == 0 && out != stream.decoded)) {
        std::fprintf(stderr, "%s: wrong output of %s\n", path,
                     trial.name.c_str());
        std::exit(1);
      }
    }
  }
  std::printf("{\"file\":\"%s\",\"in\":%zu,\"out\":%zu", path,
              stream.deflate.size(), stream.decoded.size());
  for (Trial& trial : trials) {
    std::sort(trial.seconds.begin(), trial.seconds.end());
    const double median = trial.seconds[trial.seconds.size() / 2];
    std::printf(",\"%s\":%.1f", trial.name.c_str(),
                static_cast<double>(stream.decoded.size()) / median / 1e6);
  }
  std::printf(",\"spans\":{\"256K\":%zu,\"1M\":%zu,\"4M\":%zu}}\n",
              small.size(), middle.size(), large.size());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 2 ? std::atoi(argv[1]) : 0;
  if (rounds < 1) {
    std::fprintf(stderr, "usage: engines ROUNDS FILE.gz...\n");
    return 2;
  }
  for (int i = 2; i < argc; i++) Measure(argv[i], rounds);
  return 0;
}
