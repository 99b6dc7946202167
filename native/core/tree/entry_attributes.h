// Owner, extended attributes, mode and times of an entry, in that order: a
// change of the owner takes set-id bits and capabilities away, and each of the
// others changes the times. What a user without privilege cannot give is left
// out and counted.
#pragma once

#include <cstdint>

#include "core/tree/open_entry.h"
#include "core/tree/tree_failure.h"
#include "core/tree/tree_operations.h"

namespace soci {

// What was left out, in entries (xattrs: in attributes).
struct LeftOut {
  uint64_t owners = 0;  // and with them set-id bits, which are of no other
  uint64_t xattrs = 0;
  uint64_t devices = 0;
};

class EntryAttributes {
 public:
  // `owners`: whether to set any. `privileged`: whether it is a failure if one,
  // an xattr or a device is refused.
  EntryAttributes(bool owners, bool privileged)
      : owners_(owners), privileged_(privileged) {}

  bool privileged() const { return privileged_; }

  static bool Any(const TreeOperation& operation);

  // Of a directory or a file that is being made: what it begins with, before
  // the umask; set-id bits would be those of the wrong owner.
  static uint32_t FirstMode(const TreeOperation& operation, uint32_t otherwise);

  // What the flags of the operation ask for.
  TreeFailure Set(const TreeOperation& operation, const OpenEntry& entry,
                  LeftOut* left_out) const;

 private:
  TreeFailure SetOwner(const TreeOperation& operation, const OpenEntry& entry,
                       struct stat* found, LeftOut* left_out) const;
  TreeFailure SetXattrs(const TreeOperation& operation, const OpenEntry& entry,
                        uint32_t type, LeftOut* left_out) const;

  bool owners_;
  bool privileged_;
};

}  // namespace soci
