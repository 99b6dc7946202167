// Carves choices (sizes, chunkings) from the front of a fuzzer's input, so that
// one seed file holds both the choices and the data they are about.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace soci::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t len) : data_(data), len_(len) {}

  uint8_t Byte() {
    if (len_ == 0) return 0;
    len_--;
    return *data_++;
  }
  const uint8_t* data() const { return data_; }
  size_t size() const { return len_; }

 private:
  const uint8_t* data_;
  size_t len_;
};

// Lengths of successive chunks: a short pattern that repeats, small and large
// ones mixed. Never 0.
class Chunks {
 public:
  explicit Chunks(Input* input) {
    for (uint8_t& step : steps_) step = input->Byte();
  }
  size_t Next(size_t left) {
    const uint8_t step = steps_[at_++ % sizeof steps_];
    const size_t len = step < 128 ? size_t{step} + 1 : size_t{step} * 97;
    return std::min(left, len);
  }

 private:
  uint8_t steps_[3];
  size_t at_ = 0;
};

// What must hold whatever the input is.
inline void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace soci::fuzz
