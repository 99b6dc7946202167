// Memory of a job's own, which only grows; nothing is thrown when there is
// none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

namespace soci::addon {

class JobMemory {
 public:
  JobMemory() = default;
  JobMemory(JobMemory&& other) noexcept
      : data_(std::move(other.data_)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  JobMemory& operator=(JobMemory&& other) noexcept {
    data_ = std::move(other.data_);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  // After this data() is not nullptr, not even for a size of 0.
  bool Reserve(size_t size);
  uint8_t* data() const { return data_.get(); }
  size_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(uint8_t* data) const { free(data); }
  };
  std::unique_ptr<uint8_t, Free> data_;
  size_t capacity_ = 0;
};

}  // namespace soci::addon
