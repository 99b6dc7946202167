// Two inflaters of the fast engine in turns. Symbols of both go through the hot
// loop of two streams (fast_pair_loop.cc) as long as both stand among symbols,
// far from the ends of their buffers; whatever else comes (block headers,
// stored blocks, the last bytes) is done by the careful half of the one that
// meets it, while the other waits.
#include <initializer_list>

#include "fast_inflater.h"

namespace soci {

class FastInflater::Lane {
 public:
  explicit Lane(Inflater::Call* call)
      : call_(call),
        inflater_(static_cast<FastInflater*>(call->inflater)),
        c_(inflater_->Begin(*call)) {}

  // Goes on until the hot loop may take over; false if an event came first.
  bool Approach() {
    while (step_ == Step::kGoOn && inflater_->state_ != State::kEnd) {
      if (inflater_->state_ == State::kBoundary) {
        inflater_->state_ = State::kBlockHeader;
      }
      if (inflater_->state_ == State::kSymbols && c_.HasMargins()) return true;
      step_ = inflater_->Advance(&c_);
    }
    return false;
  }

  FastPairLane Enter() {
    HuffmanTables* const tables = inflater_->tables_;
    if (tables->literal_share == kUncounted) WidenLitLenTable(tables);
    return {c_.Enter(),       c_.in_end, c_.out_end,
            &inflater_->far_, tables,    FastLoopExit::kMargin};
  }
  void Leave(const FastPairLane& lane) {
    c_.Leave(lane.state);
    step_ = inflater_->EndLoop(lane.exit);
  }

  void End() {
    call_->result = inflater_->End(*call_, c_, step_, Event::kPaused);
  }

 private:
  Inflater::Call* call_;
  FastInflater* inflater_;
  FastCursor c_;
  Step step_ = Step::kGoOn;
};

void FastInflater::RunPair(Call* a, Call* b) {
  const auto over = [](const Call* call) {
    return static_cast<FastInflater*>(call->inflater)->over();
  };
  if (over(a) || over(b)) {
    for (Call* call : {a, b}) {
      call->result = call->inflater->Run(call->in, call->in_len, call->out,
                                         call->out_len, call->history, false);
    }
    return;
  }
  const FastPairLoops& loops =
      static_cast<FastInflater*>(a->inflater)->pair_loops_;
  Lane first(a);
  Lane second(b);
  while (first.Approach() && second.Approach()) {
    FastPairLane one = first.Enter();
    FastPairLane other = second.Enter();
    loops.For(*one.tables, *other.tables)(&one, &other);
    first.Leave(one);
    second.Leave(other);
  }
  first.End();
  second.End();
}

}  // namespace soci
