// The fast engine, bit by bit: streams written by hand for each rule of
// RFC 1951 and for each limit of zlib's, compared with what is expected and,
// call by call, with zlib. Random streams are the fuzz target's task.
#include <algorithm>
#include <functional>
#include <memory>

#include "../core/inflater.h"
#include "bit_writer.h"
#include "unwritten.h"

namespace soci::test {
namespace {

using Event = Inflater::Event;

struct Outcome {
  Event event;
  Bytes output;
};

// Beyond the output, so much that the loop is never short of room: no more, for
// marking memory as unwritten takes time.
constexpr size_t kSpareRoom = 1024;

// Runs both engines over the stream in pieces of the given sizes, with room for
// `most` bytes and some; every call must agree.
Outcome Decode(const Bytes& stream, size_t in_step, size_t out_step,
               const uint8_t* window, size_t most) {
  const auto zlib = MakeInflater(Engine::kZlib);
  const auto fast = MakeInflater(Engine::kFast);
  CHECK(zlib->Start(0, 0, window).ok());
  CHECK(fast->Start(0, 0, window).ok());
  Bytes expected(most + kSpareRoom), actual(most + kSpareRoom);
  MarkUnwritten(expected.data(), expected.size());
  MarkUnwritten(actual.data(), actual.size());
  size_t in = 0, out = 0;
  for (;;) {
    const size_t in_len = std::min(in_step, stream.size() - in);
    const size_t out_len = std::min(out_step, actual.size() - out);
    const auto a = zlib->Run(stream.data() + in, in_len, expected.data() + out,
                             out_len, out, true);
    const auto b = fast->Run(stream.data() + in, in_len, actual.data() + out,
                             out_len, out, true);
    const bool same = a.event == b.event && a.produced == b.produced &&
                      (a.event == Event::kError || a.consumed == b.consumed) &&
                      (a.event != Event::kBlockStart || a.bits == b.bits);
    CHECK(same);
    in += b.consumed;
    out += b.produced;
    const bool goes_on = b.event == Event::kBlockStart ||
                         b.event == Event::kOutputFull ||
                         (b.event == Event::kNeedInput && in < stream.size());
    if (same && goes_on) continue;
    actual.resize(out);
    expected.resize(out);
    CHECK(actual == expected);
    return {b.event, actual};
  }
}

constexpr size_t kSteps[] = {1, 2, 7, 300, 1 << 17};

void ExpectOutput(const Bytes& stream, const Bytes& output,
                  const uint8_t* window = nullptr) {
  for (const size_t in_step : kSteps) {
    for (const size_t out_step : kSteps) {
      const Outcome outcome =
          Decode(stream, in_step, out_step, window, output.size());
      CHECK(outcome.event == Event::kStreamEnd);
      CHECK(outcome.output == output);
    }
  }
}

void ExpectRefusal(BitWriter writer, const Bytes& before = {}) {
  // What follows must not matter, nor be missing.
  const Bytes stream = writer.Bits(0, 30).Align().Take();
  for (const size_t step : kSteps) {
    const Outcome outcome =
        Decode(stream, step, 1 << 17, nullptr, before.size());
    CHECK(outcome.event == Event::kError);
    CHECK(outcome.output == before);
  }
}

Bytes Lengths(size_t count, std::initializer_list<std::pair<int, int>> set) {
  Bytes lengths(count);
  for (const auto& [symbol, length] : set)
    lengths[static_cast<size_t>(symbol)] = static_cast<uint8_t>(length);
  return lengths;
}

void TestBlocks() {
  ExpectOutput(BitWriter().Header(true, 1).Fixed(256).Take(), {});
  ExpectOutput(
      BitWriter().Header(true, 1).Fixed('a').Fixed(200).Fixed(256).Take(),
      {'a', 200});
  // Stored: empty, then one that begins behind odd bits.
  BitWriter stored;
  stored.Header(false, 0).Align().Bits(0, 16).Bits(0xffff, 16);
  stored.Header(false, 1).Fixed('x').Fixed(256);
  stored.Header(true, 0).Align().Bits(3, 16).Bits(0xfffc, 16);
  stored.Bits('a', 8).Bits('b', 8).Bits('c', 8);
  ExpectOutput(stored.Take(), {'x', 'a', 'b', 'c'});
  // Dynamic, with code words of 1 to 15 bits, hence subtables.
  Bytes litlen(286), distance(30);
  for (unsigned i = 1; i < 15; i++) litlen[i] = static_cast<uint8_t>(i);
  litlen[256] = litlen[285] = 15;
  distance[0] = 1;  // the single code word of one bit
  BitWriter deep;
  deep.Dynamic(litlen, distance);
  Bytes expected;
  for (unsigned round = 0; round < 40; round++) {
    for (unsigned i = 1; i < 15; i++) {
      deep.Word((1u << i) - 2, i);
      expected.push_back(static_cast<uint8_t>(i));
    }
    deep.Word(0x7fff, 15).Word(0, 1);
    expected.insert(expected.end(), 258, expected.back());
  }
  ExpectOutput(deep.Word(0x7ffe, 15).Take(), expected);
}

void TestRefusals() {
  ExpectRefusal(BitWriter().Header(true, 3));
  ExpectRefusal(BitWriter().Header(true, 0).Align().Bits(5, 16).Bits(5, 16));
  // Symbols without meaning, §3.2.5.
  ExpectRefusal(BitWriter().Header(true, 1).Fixed('a').Fixed(286), {'a'});
  ExpectRefusal(BitWriter().Header(true, 1).Fixed('a').Fixed(287), {'a'});
  for (const unsigned distance : {30u, 31u})
    ExpectRefusal(
        BitWriter().Header(true, 1).Fixed('a').Fixed(257).Word(distance, 5),
        {'a'});
  // zlib's limits on the counts.
  ExpectRefusal(BitWriter().Header(true, 2).Bits(30, 5).Bits(0, 5).Bits(0, 4));
  ExpectRefusal(BitWriter().Header(true, 2).Bits(0, 5).Bits(30, 5).Bits(0, 4));
  // Precodes: over-subscribed, incomplete, none at all.
  for (const auto& [ones, twos] : {std::pair(3, 0), {1, 0}, {1, 1}, {0, 0}}) {
    BitWriter precode;
    precode.Header(true, 2).Bits(0, 5).Bits(0, 5).Bits(15, 4);
    for (int i = 0; i < 19; i++)
      precode.Bits(i < ones ? 1 : i < ones + twos ? 2 : 0, 3);
    ExpectRefusal(precode.Bits(0, 300));
  }
  // A repeat (16, here the precode's first word) without a length before it;
  // one that goes on behind the last length (18).
  for (const bool too_long : {false, true}) {
    BitWriter repeat;
    repeat.Header(true, 2).Bits(0, 5).Bits(0, 5).Bits(0, 4);
    repeat.Bits(too_long ? 0 : 1, 3).Bits(0, 3).Bits(1, 3).Bits(too_long, 3);
    for (int i = 0; i < 4; i++) repeat.Word(too_long, 1).Bits(127, 7);
    ExpectRefusal(repeat);
  }
  const Bytes one_distance = {1};
  const auto dynamic = [&](Bytes litlen, Bytes distance) {
    return BitWriter().Dynamic(litlen, distance);
  };
  // No end-of-block code; over-subscribed; incomplete.
  ExpectRefusal(dynamic(Lengths(257, {{0, 1}, {1, 1}}), one_distance));
  ExpectRefusal(dynamic(Lengths(257, {{0, 1}, {1, 1}, {256, 1}}), {1}));
  ExpectRefusal(dynamic(Lengths(257, {{0, 2}, {256, 2}}), one_distance));
  ExpectRefusal(dynamic(Lengths(257, {{0, 1}, {256, 1}}), {1, 1, 1}));
  ExpectRefusal(dynamic(Lengths(257, {{0, 1}, {256, 1}}), {2, 2}));
  ExpectRefusal(dynamic(Lengths(257, {{0, 1}, {256, 1}}), {2}));
}

// What is accepted though incomplete: a single code word of one bit, and no
// distance code at all. The words that do not exist are refused when met.
void TestDegenerateCodes() {
  const Bytes only_end = Lengths(257, {{256, 1}});
  ExpectOutput(BitWriter().Dynamic(only_end, {1}).Word(0, 1).Take(), {});
  ExpectRefusal(BitWriter().Dynamic(only_end, {1}).Word(1, 1));

  const Bytes match = Lengths(258, {{'a', 1}, {256, 2}, {257, 2}});
  const auto with = [&](Bytes distance) {
    return BitWriter().Dynamic(match, distance).Word(0, 1);
  };
  ExpectOutput(with({0}).Word(2, 2).Take(), {'a'});
  ExpectRefusal(with({0}).Word(3, 2).Word(0, 1), {'a'});
  ExpectOutput(with({1}).Word(3, 2).Word(0, 1).Word(2, 2).Take(),
               {'a', 'a', 'a', 'a'});
  ExpectRefusal(with({1}).Word(3, 2).Word(1, 1), {'a'});
}

void Append(Bytes* output, const Bytes& window, size_t length,
            size_t distance) {
  for (size_t i = 0; i < length; i++) {
    const size_t at = output->size();
    output->push_back(distance <= at ? (*output)[at - distance]
                                     : window[window.size() + at - distance]);
  }
}

// All lengths at all short distances, which overlap in different ways.
void TestOverlaps() {
  BitWriter writer;
  writer.Header(true, 1);
  Bytes expected;
  for (unsigned distance = 1; distance <= 40; distance++) {
    for (unsigned length = 3; length <= 258; length += distance % 3 + 5) {
      for (unsigned i = 0; i < distance; i++) {
        expected.push_back(static_cast<uint8_t>(i * 7 + length));
        writer.Fixed(expected.back());
      }
      writer.FixedMatch(length, distance);
      Append(&expected, {}, length, distance);
      if (expected.size() > 120000) break;
    }
  }
  ExpectOutput(writer.Fixed(256).Take(), expected);
}

// Distances that reach the window outside of the output, to its first byte,
// and from it into the output.
void TestWindow() {
  Bytes window(kWindowSize);
  for (size_t i = 0; i < window.size(); i++)
    window[i] = static_cast<uint8_t>(i * 31 + i / 251);
  BitWriter writer;
  writer.Header(true, 1);
  Bytes expected;
  for (unsigned i = 0; i < 300; i++) {
    const auto at = static_cast<unsigned>(expected.size());
    const unsigned length = 3 + i * 7 % 256;
    const unsigned distance = std::min(32768u, i % 3 == 0   ? 32768u
                                               : i % 3 == 1 ? at + 1 + i % 5
                                                            : at + 2000);
    writer.FixedMatch(length, distance);
    Append(&expected, window, length, distance);
  }
  ExpectOutput(writer.Fixed(256).Take(), expected, window.data());
}

// Without a window nothing lies before the start, whether the distance is met
// far from the ends of the buffers or near them.
void TestTooFar() {
  for (const unsigned before : {1u, 5u, 600u}) {
    Bytes literals(before, 'x');
    BitWriter writer;
    writer.Header(true, 1);
    for (unsigned i = 0; i < before; i++) writer.Fixed('x');
    BitWriter exact = writer;
    exact.FixedMatch(10, before).Fixed(256);
    Bytes expected(before + 10, 'x');
    ExpectOutput(exact.Take(), expected);
    ExpectRefusal(writer.FixedMatch(10, before + 1).Bits(0, 4000), literals);
  }
}

// Rebase: the output goes elsewhere, what came before is the window, and the
// limit on distances stays where the stream began.
void TestRebase() {
  const Bytes head =
      BitWriter().Header(false, 1).Fixed('a').Fixed('b').Fixed(256).Take();
  for (const unsigned distance : {2u, 3u}) {
    BitWriter tail;  // continues behind the 3 + 8 + 8 + 7 bits above
    tail.Header(false, 1).Fixed('a').Fixed('b').Fixed(256).Header(true, 1);
    tail.FixedMatch(5, distance).Fixed(256).Bits(0, 7).Align();
    const Bytes stream = tail.Take();
    const auto fast = MakeInflater(Engine::kFast);
    CHECK(fast->Start(0, 0, nullptr).ok());
    Bytes first(2), second(100), window(kWindowSize);
    const auto a =
        fast->Run(stream.data(), head.size() - 1, first.data(), 2, 0, false);
    CHECK_EQ(a.produced, size_t{2});
    window[kWindowSize - 2] = 'a';
    window[kWindowSize - 1] = 'b';
    fast->Rebase(window.data());
    const auto b =
        fast->Run(stream.data() + a.consumed, stream.size() - a.consumed,
                  second.data(), second.size(), 0, false);
    CHECK(b.event == (distance == 2 ? Event::kStreamEnd : Event::kError));
    CHECK_EQ(b.produced, size_t{distance == 2 ? 5u : 0u});
    if (distance == 2) CHECK(std::equal(&second[0], &second[5], "ababa"));
  }
}

// A stream of more than 4 GiB of output: two bits for each 258 bytes.
void TestHugeStream() {
  const Bytes header =
      BitWriter()
          .Dynamic(Lengths(286, {{'z', 2}, {256, 2}, {285, 1}}), {1})
          .Word(2, 2)
          .Bits(0, 64)
          .Take();
  const auto fast = MakeInflater(Engine::kFast);
  CHECK(fast->Start(0, 0, nullptr).ok());
  const Bytes matches(4096);  // 285 and the distance 1, four times a byte
  Bytes out(1 << 20);
  uint64_t total = 0;
  bool good = true;
  const Bytes* in = &header;
  size_t at = 0, history = 0;
  while (good && total < (uint64_t{1} << 32) + (1 << 20)) {
    const size_t room = out.size() - history;
    const auto result = fast->Run(in->data() + at, in->size() - at,
                                  out.data() + history, room, history, false);
    total += result.produced;
    at += result.consumed;
    good =
        result.event == Event::kOutputFull || result.event == Event::kNeedInput;
    history += result.produced;
    if (history == out.size()) history = kWindowSize;  // all bytes are equal
    if (at == in->size()) in = &matches, at = 0;
  }
  CHECK(good);
  CHECK(std::count(out.begin(), out.end(), 'z') ==
        static_cast<ptrdiff_t>(out.size()));
}

void TestMisuse() {
  const auto fast = MakeInflater(Engine::kFast);
  uint8_t byte = 0;
  CHECK(fast->Run(&byte, 1, &byte, 1, 0, false).status.code == Code::kMisuse);
  CHECK(fast->Start(8, 0, nullptr).code == Code::kMisuse);
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  TestBlocks();
  TestRefusals();
  TestDegenerateCodes();
  TestOverlaps();
  TestWindow();
  TestTooFar();
  TestRebase();
  TestHugeStream();
  TestMisuse();
  return Report("fast_inflater");
}
