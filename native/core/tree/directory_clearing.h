// The way through a directory of which everything is removed: the directories
// from it down to where the walk is, each with its name and a reading under
// way.
#pragma once

#include <dirent.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/tree/tree_failure.h"

namespace soci {

class DirectoryClearing {
 public:
  // What becomes of the directory itself afterwards.
  enum class First : uint8_t { kStays, kGoes };

  // As TreeRemoval.
  DirectoryClearing(bool privileged, const std::atomic<bool>* aborted)
      : privileged_(privileged), aborted_(aborted) {}
  ~DirectoryClearing();
  DirectoryClearing(const DirectoryClearing&) = delete;
  DirectoryClearing& operator=(const DirectoryClearing&) = delete;

  // Removes all below the directory `name` of `parent`.
  TreeFailure Run(int parent, const char* name, First first);

 private:
  static constexpr size_t kMaxDepth = 32;

  struct Level {
    DIR* entries;
    int readings;
    bool met;  // an entry, in this reading
    char name[sizeof(dirent::d_name)];
  };

  Level* top() { return &levels_[depth_ - 1]; }
  int fd(size_t depth) { return dirfd(levels_[depth - 1].entries); }

  TreeFailure Enter(int parent, const char* name, bool unlock);
  TreeFailure Step();
  TreeFailure Leave();
  TreeFailure MoveUp(const char* name);

  bool privileged_;
  const std::atomic<bool>* aborted_;
  unsigned moved_ = 0;
  size_t depth_ = 0;
  Level levels_[kMaxDepth];
};

}  // namespace soci
