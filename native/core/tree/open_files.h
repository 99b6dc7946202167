// Files that one operation begins and a later one ends, by the ids that script
// gave them: those that are too large to be written at once, and sparse ones.
//
// Thread safety: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

#include "core/tree/file_descriptor.h"

namespace soci {

class OpenFiles {
 public:
  // At once, so that script cannot use up the process's descriptors.
  static constexpr size_t kMost = 64;

  // 0; EMFILE if there are too many, EBUSY if the id is taken. Nothing is
  // taken from `file` then.
  int Add(uint32_t id, FileDescriptor* file);

  // A file's descriptor, which stays open until the same number of Done; below
  // 0 if there is no such file.
  int Use(uint32_t id);
  void Done(uint32_t id);

  // 0; EBADF if there is no such file, EBUSY if it is in use.
  int Take(uint32_t id, FileDescriptor* file);

  // None of them is in use.
  void CloseAll();

 private:
  struct File {
    FileDescriptor descriptor;  // none: a free place
    uint32_t id = 0;
    size_t uses = 0;
  };

  // Called with the mutex held; nullptr if there is none.
  File* Find(uint32_t id);

  std::mutex mutex_;
  File files_[kMost];
};

}  // namespace soci
