// Owns an open file descriptor: whatever way a call is left, it is closed.
#pragma once

#include <unistd.h>

#include <utility>

namespace soci {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { Close(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Take()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = other.Take();
    }
    return *this;
  }

  // Below 0 if there is none.
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

  int Take() { return std::exchange(fd_, -1); }

  // What close(2) says: some file systems report a failed write only there. It
  // is closed whatever that is.
  int Close() {
    const int fd = Take();
    return fd < 0 ? 0 : close(fd);
  }

 private:
  int fd_ = -1;
};

}  // namespace soci
