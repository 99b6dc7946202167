// The careful half of the fast engine: a state machine that can stop between
// any two bytes. It handles block headers and the ends of input and output;
// all symbols in between go through the hot loop (fast_loop.cc).
//
// The unit of reading is an element: a block header, one code length, one
// literal, one length with its distance. An element is taken from the buffer
// when all of its bits are there, and not at all otherwise. So when input runs
// out, everything held belongs to one incomplete element; and when an element
// was taken, the whole bytes left in the buffer came from this Run's input and
// are given back. This is what makes `consumed` equal to zlib's for any
// chunking.
#include "fast_inflater.h"

#include <algorithm>
#include <cstring>

namespace soci {
namespace {

// What a code word at the low end of `hold` stands for. `root`, `word` and
// `all` count bits from there: those that led to a subtable, if any; of the
// code word; and with the extra bits of the value.
struct Symbol {
  HuffmanEntry entry;  // for its flags; never one that points to a subtable
  unsigned root;
  unsigned word;
  unsigned all;
  unsigned value;
};

unsigned LowBits(uint64_t hold, unsigned n) {
  return static_cast<unsigned>(hold) & ((1u << n) - 1);
}

Symbol Lookup(const HuffmanEntry* table, unsigned root, uint64_t hold) {
  HuffmanEntry entry = table[LowBits(hold, root)];
  unsigned before = 0;
  if (entry & kSubtableFlag) {
    before = root;
    entry = table[(1u << root) + (entry >> 16) +
                  LowBits(hold >> root, entry >> 8 & 15)];
  }
  const unsigned word = before + (entry >> 8 & 15);
  const unsigned all = before + (entry & 63);
  return {entry, before, word, all,
          (entry >> 16) + LowBits(hold >> word, all - word)};
}

}  // namespace

Status FastInflater::Start(uint8_t bits, uint8_t partial,
                           const uint8_t* window) {
  if (bits > 7) return Status::At(Code::kMisuse, 0);
  state_ = State::kBoundary;
  final_block_ = false;
  hold_ = partial >> (8 - bits);
  bits_ = bits;
  has_window_ = window != nullptr;
  since_start_ = 0;
  Rebase(window);
  return Status::Ok();
}

void FastInflater::Rebase(const uint8_t* window) {
  since_rebase_ = 0;
  far_ = {};
  if (window == nullptr) return;
  far_.window_end = window + kWindowSize;
  // Matches reach all over it, which is slow while it is in no near cache.
  constexpr size_t kCacheLine = 64;
  for (size_t at = 0; at < kWindowSize; at += kCacheLine)
    __builtin_prefetch(window + at);
  far_.valid =
      has_window_ ? kWindowSize : std::min<uint64_t>(kWindowSize, since_start_);
}

Inflater::Result FastInflater::Run(const uint8_t* in, size_t in_len,
                                   uint8_t* out, size_t out_len, size_t history,
                                   bool stop_at_blocks) {
  const Call call = {this, in, in_len, out, out_len, history, {}};
  FastCursor c = Begin(call);
  if (over()) {
    Result result = {};
    result.event = Event::kError;
    result.status = Status::At(Code::kMisuse, 0);
    return result;
  }
  Step step = Step::kGoOn;
  while (step == Step::kGoOn && state_ != State::kEnd) {
    if (state_ == State::kBoundary) {
      state_ = State::kBlockHeader;
      if (stop_at_blocks) break;
    }
    step = Advance(&c);
  }
  return End(call, c, step, Event::kBlockStart);
}

FastCursor FastInflater::Begin(const Call& call) {
  far_.base = call.out - std::min<uint64_t>(call.history, since_rebase_);
  return {call.in,  call.in + call.in_len,
          call.out, call.out + call.out_len,
          hold_,    bits_};
}

// `stopped`: the event if neither an end nor an error is one.
Inflater::Result FastInflater::End(const Call& call, FastCursor c, Step step,
                                   Event stopped) {
  Result result = {};
  switch (step) {
    case Step::kGoOn:
      result.event = state_ == State::kEnd ? Event::kStreamEnd : stopped;
      break;
    case Step::kNeedInput:
    case Step::kNeedRoom:
      result.event =
          c.out == c.out_end ? Event::kOutputFull : Event::kNeedInput;
      break;
    case Step::kInvalid:
      result.event = Event::kError;
      state_ = State::kFailed;
      break;
  }

  // The next element may have begun in an earlier Run, if it is invalid or if
  // this was paused in front of it.
  const size_t taken = static_cast<size_t>(c.in - call.in);
  if (step == Step::kInvalid) {
    c.in -= std::min<size_t>(c.bits >> 3, taken);
  } else if (step != Step::kNeedInput) {
    c.GiveBack(taken);
  }
  hold_ = c.hold;
  bits_ = c.bits;
  result.consumed = static_cast<size_t>(c.in - call.in);
  result.produced = static_cast<size_t>(c.out - call.out);
  result.bits = static_cast<uint8_t>(c.bits & 7);
  if (result.event == Event::kError)
    result.status = Status::At(Code::kDeflateData, result.consumed);
  since_start_ += result.produced;
  since_rebase_ += result.produced;
  return result;
}

FastInflater::Step FastInflater::Advance(FastCursor* c) {
  switch (state_) {
    case State::kBlockHeader:
      return ReadBlockHeader(c);
    case State::kStoredLength:
      return ReadStoredLength(c);
    case State::kStoredBytes:
      return CopyStoredBytes(c);
    case State::kCodeCounts:
      return ReadCodeCounts(c);
    case State::kPrecode:
      return ReadPrecode(c);
    case State::kCodeLengths:
      return ReadCodeLengths(c);
    case State::kSymbols:
      return DecodeSymbols(c);
    case State::kLiteral:
      return WriteLiteral(c);
    case State::kMatch:
      return WriteMatch(c);
    default:
      return Step::kInvalid;  // not reached: Run deals with the other states
  }
}

// RFC 1951 §3.2.3.
FastInflater::Step FastInflater::ReadBlockHeader(FastCursor* c) {
  if (!c->Need(3)) return Step::kNeedInput;
  final_block_ = c->Take(1) != 0;
  switch (c->Take(2)) {
    case 0:
      c->Drop(c->bits & 7);  // §3.2.4: the rest of the byte is skipped
      state_ = State::kStoredLength;
      return Step::kGoOn;
    case 1:
      if (!fixed_built_) BuildFixedTables(&fixed_);
      fixed_built_ = true;
      tables_ = &fixed_;
      state_ = State::kSymbols;
      return Step::kGoOn;
    case 2:
      state_ = State::kCodeCounts;
      return Step::kGoOn;
    default:
      return Step::kInvalid;
  }
}

// RFC 1951 §3.2.4.
FastInflater::Step FastInflater::ReadStoredLength(FastCursor* c) {
  if (!c->Need(32)) return Step::kNeedInput;
  remaining_ = c->Take(16);
  const unsigned complement = c->Take(16);
  c->GiveBack();
  if (remaining_ != (complement ^ 0xffff)) return Step::kInvalid;
  state_ = State::kStoredBytes;
  return Step::kGoOn;
}

FastInflater::Step FastInflater::CopyStoredBytes(FastCursor* c) {
  const size_t n = std::min({size_t{remaining_}, c->in_left(), c->out_left()});
  if (n > 0) std::memcpy(c->out, c->in, n);
  c->in += n;
  c->out += n;
  remaining_ -= static_cast<uint32_t>(n);
  if (remaining_ > 0)
    return c->out_left() == 0 ? Step::kNeedRoom : Step::kNeedInput;
  EndBlock();
  return Step::kGoOn;
}

// RFC 1951 §3.2.7, with zlib's limits: 286 and 30 symbols, as §3.2.5 has no
// meaning for more.
FastInflater::Step FastInflater::ReadCodeCounts(FastCursor* c) {
  if (!c->Need(14)) return Step::kNeedInput;
  litlen_count_ = c->Take(5) + 257;
  distance_count_ = c->Take(5) + 1;
  precode_count_ = c->Take(4) + 4;
  if (litlen_count_ > 286 || distance_count_ > 30) return Step::kInvalid;
  std::memset(lengths_, 0, kPrecodeSymbols);
  lengths_read_ = 0;
  state_ = State::kPrecode;
  return Step::kGoOn;
}

FastInflater::Step FastInflater::ReadPrecode(FastCursor* c) {
  static constexpr uint8_t kOrder[kPrecodeSymbols] = {
      16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  while (lengths_read_ < precode_count_) {
    if (!c->Need(3)) return Step::kNeedInput;
    lengths_[kOrder[lengths_read_++]] = static_cast<uint8_t>(c->Take(3));
  }
  if (!BuildPrecodeTable(lengths_, precode_)) return Step::kInvalid;
  lengths_read_ = 0;
  state_ = State::kCodeLengths;
  return Step::kGoOn;
}

FastInflater::Step FastInflater::ReadCodeLengths(FastCursor* c) {
  FastCursor local =
      *c;  // stays in registers: its address is not known elsewhere
  const Step step = TakeCodeLengths(&local);
  *c = local;
  if (step != Step::kGoOn) return step;
  // A block that cannot end is refused, as zlib does.
  if (lengths_[kEndOfBlock] == 0) return Step::kInvalid;
  if (!BuildLitLenTable(lengths_, litlen_count_, &dynamic_) ||
      !BuildDistanceTable(lengths_ + litlen_count_, distance_count_, &dynamic_))
    return Step::kInvalid;
  tables_ = &dynamic_;
  state_ = State::kSymbols;
  return Step::kGoOn;
}

inline FastInflater::Step FastInflater::TakeCodeLengths(FastCursor* c) {
  const unsigned total = litlen_count_ + distance_count_;
  unsigned read = lengths_read_;
  while (read < total) {
    if (c->bits < kMaxPrecodeLength + 7) c->Refill();
    const HuffmanEntry entry = precode_[c->Peek(kMaxPrecodeLength)];
    const unsigned length = entry & 15;
    const unsigned symbol = entry >> 16;
    if (symbol < 16) {
      lengths_read_ = read;
      if (c->bits < length) return Step::kNeedInput;
      c->Drop(length);
      lengths_[read++] = static_cast<uint8_t>(symbol);
      continue;
    }
    // 16: the previous length 3..6 times; 17: 0, 3..10 times; 18: 0, 11..138.
    const unsigned extra = symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
    lengths_read_ = read;
    if (c->bits < length + extra) return Step::kNeedInput;
    c->Drop(length);
    const unsigned repeat = c->Take(extra) + (symbol == 18 ? 11 : 3);
    if (repeat > total - read || (symbol == 16 && read == 0))
      return Step::kInvalid;
    std::memset(lengths_ + read, symbol == 16 ? lengths_[read - 1] : 0, repeat);
    read += repeat;
  }
  return Step::kGoOn;
}

FastInflater::Step FastInflater::DecodeSymbols(FastCursor* c) {
  if (!c->HasMargins()) return DecodeOneSymbol(c);
  FastLoopState fast = c->Enter();
  const FastLoopExit exit = loop_(&fast, c->in_end, c->out_end, far_, *tables_);
  c->Leave(fast);
  return exit == FastLoopExit::kMargin ? DecodeOneSymbol(c) : EndLoop(exit);
}

FastInflater::Step FastInflater::EndLoop(FastLoopExit exit) {
  if (exit == FastLoopExit::kInvalid) return Step::kInvalid;
  if (exit == FastLoopExit::kEndOfBlock) EndBlock();
  return Step::kGoOn;
}

// Where bits are missing the lookups see zeros. An entry that wants no more
// bits than there are is right nevertheless: no other code word begins so. Of
// what is invalid, as much counts as used as in the loop: where an error lies
// does not depend on who comes to it, and so on where output was cut.
FastInflater::Step FastInflater::DecodeOneSymbol(FastCursor* c) {
  c->Refill();
  const Symbol symbol = Lookup(tables_->litlen, tables_->litlen_root, c->hold);
  if (c->bits < symbol.word) return Step::kNeedInput;
  if (symbol.entry & kLiteralFlag) {
    c->Drop(symbol.word);
    literal_ = static_cast<uint8_t>(symbol.entry >> 16);
    state_ = State::kLiteral;
    return WriteLiteral(c);
  }
  if (symbol.entry & kExceptionFlag) {
    c->Drop(symbol.word);
    if (!(symbol.entry & kEndOfBlockFlag)) return Step::kInvalid;
    EndBlock();
    return Step::kGoOn;
  }

  if (c->bits < symbol.all) return Step::kNeedInput;
  const Symbol distance =
      Lookup(tables_->distance, kDistanceRoot, c->hold >> symbol.all);
  if (c->bits < symbol.all + distance.word) return Step::kNeedInput;
  if (distance.entry & kExceptionFlag) {
    c->Drop(symbol.all + distance.root);
    return Step::kInvalid;
  }
  if (c->bits < symbol.all + distance.all) return Step::kNeedInput;
  remaining_ = symbol.value;
  distance_ = distance.value;
  c->Drop(symbol.all + distance.all);
  state_ = State::kMatch;
  return WriteMatch(c);
}

FastInflater::Step FastInflater::WriteLiteral(FastCursor* c) {
  if (c->out_left() == 0) return Step::kNeedRoom;
  *c->out++ = literal_;
  state_ = State::kSymbols;
  return Step::kGoOn;
}

FastInflater::Step FastInflater::WriteMatch(FastCursor* c) {
  if (c->out_left() == 0) return Step::kNeedRoom;
  while (remaining_ > 0 && c->out_left() > 0) {
    size_t n = std::min(size_t{remaining_}, c->out_left());
    if (distance_ > static_cast<size_t>(c->out - far_.base)) {
      const uint8_t* const from = far_.Find(c->out, distance_);
      if (from == nullptr) return Step::kInvalid;
      n = std::min(n, static_cast<size_t>(far_.window_end - from));
      std::memcpy(c->out, from, n);
    } else {
      // Byte by byte: the match may overlap what it writes.
      for (size_t i = 0; i < n; i++) c->out[i] = *(c->out + i - distance_);
    }
    c->out += n;
    remaining_ -= static_cast<uint32_t>(n);
  }
  if (remaining_ > 0) return Step::kNeedRoom;
  state_ = State::kSymbols;
  return Step::kGoOn;
}

void FastInflater::EndBlock() {
  state_ = final_block_ ? State::kEnd : State::kBoundary;
}

}  // namespace soci
