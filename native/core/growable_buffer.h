// A byte array that grows and can say that it could not. std::vector ends the
// process when memory is short and exceptions are off; sizes here follow from
// what a peer sent, so running out of memory has to be an ordinary answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace soci {

class GrowableBuffer {
 public:
  GrowableBuffer() = default;
  ~GrowableBuffer() { std::free(data_); }
  GrowableBuffer(const GrowableBuffer&) = delete;
  GrowableBuffer& operator=(const GrowableBuffer&) = delete;

  void Swap(GrowableBuffer* other) {
    std::swap(data_, other->data_);
    std::swap(size_, other->size_);
    std::swap(capacity_, other->capacity_);
  }

  const uint8_t* data() const { return data_; }
  uint8_t* data() { return data_; }
  size_t size() const { return size_; }

  // Room for `len` more bytes, uninitialised, or nullptr when memory is short:
  // then the contents are as before.
  uint8_t* Extend(size_t len) {
    if (len > capacity_ - size_ && !Reserve(len)) return nullptr;
    uint8_t* room = data_ + size_;
    size_ += len;
    return room;
  }

  [[nodiscard]] bool Append(const uint8_t* bytes, size_t len) {
    if (len == 0) return true;
    uint8_t* room = Extend(len);
    if (room == nullptr) return false;
    std::memcpy(room, bytes, len);
    return true;
  }

  // Drops everything from `size` on, or nothing if the buffer is shorter. The
  // memory is kept for the next use.
  void Truncate(size_t size) {
    if (size < size_) size_ = size;
  }
  void Clear() { size_ = 0; }

  // Gives the memory back.
  void Reset() {
    std::free(data_);
    data_ = nullptr;
    size_ = capacity_ = 0;
  }

 private:
  // Grows by half: the peak while copying stays below 2.5 times the contents.
  bool Reserve(size_t len) {
    if (len > SIZE_MAX / 2 - size_) return false;
    size_t capacity = capacity_ + capacity_ / 2;
    if (capacity < size_ + len) capacity = size_ + len;
    if (capacity < kFirstCapacity) capacity = kFirstCapacity;
    void* grown = std::realloc(data_, capacity);
    if (grown == nullptr) return false;
    data_ = static_cast<uint8_t*>(grown);
    capacity_ = capacity;
    return true;
  }

  static constexpr size_t kFirstCapacity = 1024;

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace soci
