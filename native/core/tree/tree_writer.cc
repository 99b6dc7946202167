#include "core/tree/tree_writer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "core/tree/batch_run.h"
#include "core/tree/tree_operations.h"

namespace soci {

TreeFailure TreeWriter::Open(int root) {
  struct stat found;
  if (fstat(root, &found) != 0) return TreeFailure::Of("stat");
  if (!S_ISDIR(found.st_mode)) return {"open", ENOTDIR};
  root_ = FileDescriptor(fcntl(root, F_DUPFD_CLOEXEC, 0));
  return root_.open() ? TreeFailure::None() : TreeFailure::Of("open");
}

void TreeWriter::Run(const uint8_t* batch, size_t size,
                     const std::atomic<bool>* aborted, BatchResult* result) {
  TreeOperation operation;
  for (TreeOperationReader check(batch, size); !check.AtEnd();) {
    if (!check.Next(&operation)) {
      result->failure = {"parse", EINVAL};
      return;
    }
    result->operation++;
  }
  result->operation = 0;
  BatchRun run(this, aborted, &result->left_out);
  for (TreeOperationReader reader(batch, size); reader.Next(&operation);) {
    if (aborted != nullptr && aborted->load(std::memory_order_relaxed)) {
      result->failure = {"abort", ECANCELED};
      return;
    }
    result->failure = run.Execute(operation);
    if (!result->failure.ok()) return;
    result->operation++;
  }
}

void TreeWriter::Close() {
  CloseFiles();
  root_.Close();
}

}  // namespace soci
