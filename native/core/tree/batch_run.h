// One batch that a TreeWriter executes: how each kind of operation is done.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/tree/entry_attributes.h"
#include "core/tree/file_descriptor.h"
#include "core/tree/parent_directory.h"
#include "core/tree/tree_failure.h"
#include "core/tree/tree_operations.h"
#include "core/tree/tree_removal.h"
#include "core/tree/tree_writer.h"

namespace soci {

class BatchRun {
 public:
  // `left_out` is added to.
  BatchRun(TreeWriter* writer, const std::atomic<bool>* aborted,
           LeftOut* left_out);

  TreeFailure Execute(const TreeOperation& operation);

 private:
  // Where an operation's path leads: a name in an open directory.
  struct Place {
    int parent;
    const char* name;
  };

  TreeFailure ExecuteAt(const TreeOperation& operation, const Place& place);
  TreeFailure MakeDirectory(const TreeOperation& operation, const Place& place);
  TreeFailure WriteFile(const TreeOperation& operation, const Place& place);
  TreeFailure BeginFile(const TreeOperation& operation, const Place& place);
  TreeFailure WritePiece(const TreeOperation& operation);
  TreeFailure EndFile(const TreeOperation& operation);
  TreeFailure MakeSymbolicLink(const TreeOperation& operation,
                               const Place& place);
  TreeFailure MakeHardLink(const TreeOperation& operation, const Place& place);
  TreeFailure MakeNode(const TreeOperation& operation, const Place& place);
  TreeFailure Remove(const TreeOperation& operation, const Place& place);
  TreeFailure Sync();

  // Calls `make`, which returns below 0 where it fails, until nothing is in its
  // way. `*made` is false if what is there is to stay.
  template <class Make>
  TreeFailure Create(const char* call, const TreeOperation& operation,
                     const Place& place, Make make, bool* made);
  // Opens what is at the place, and sets what the operation asks for. ESTALE
  // unless it is of that type, if one is given.
  TreeFailure SetAttributes(const TreeOperation& operation, const Place& place,
                            uint32_t type);

  TreeWriter* writer_;
  const std::atomic<bool>* aborted_;
  LeftOut* left_out_;
  TreeRemoval removal_;
  ParentDirectory parents_;
};

}  // namespace soci
