// Removes what is at a name, with all below it, without ever following a link:
// each directory is opened in the one that it was found in. However deep a tree
// is, few descriptors are open: what is too deep is moved up first.
//
// Thread safety: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/tree/tree_failure.h"

namespace soci {

class TreeRemoval {
 public:
  enum class Directories : uint8_t { kRemove, kKeep };

  // Without privilege, directories that forbid it are made writable first.
  // `aborted` may be nullptr, and is polled: somebody may add entries as fast
  // as they are removed. ECANCELED then.
  TreeRemoval(bool privileged, const std::atomic<bool>* aborted)
      : privileged_(privileged), aborted_(aborted) {}

  // Removes `name` in `parent`; that it is missing is no failure. `*directory`:
  // whether a directory was there, or still is.
  TreeFailure Remove(int parent, const char* name, Directories directories,
                     bool* directory) const;

  // Removes all below the directory `name`, which may be ".".
  TreeFailure Clear(int parent, const char* name) const;

 private:
  bool privileged_;
  const std::atomic<bool>* aborted_;
};

}  // namespace soci
