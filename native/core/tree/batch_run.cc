#include "core/tree/batch_run.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "core/tree/file_contents.h"
#include "core/tree/open_entry.h"
#include "core/tree/terminated_text.h"

#if defined(__linux__)
#include <sys/sysmacros.h>
#endif

namespace soci {
namespace {

constexpr int kNewFile =
    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
constexpr uint32_t kDirectoryMode = 0755;
constexpr uint32_t kFileMode = 0644;
// Nobody else needs a file that is not whole yet.
constexpr uint32_t kBegunMode = 0600;
constexpr uint32_t kAnyType = 0;

// Somebody else may put things in the way again, but not for ever.
constexpr int kMaxAttempts = 4;

bool IsDevice(const TreeOperation& operation) {
  const uint32_t type = operation.mode & S_IFMT;
  return type == S_IFCHR || type == S_IFBLK;
}

// What is made without a mode gets the usual one, whatever the umask is.
TreeOperation WithMode(const TreeOperation& operation, uint32_t otherwise) {
  TreeOperation complete = operation;
  if (operation.has(TreeFlag::kMode)) return complete;
  complete.flags |= TreeFlag::kMode;
  complete.mode = (operation.mode & S_IFMT) | otherwise;
  return complete;
}

// macOS has no such call before version 13, and images no use for one there.
int MakeNodeAt(int parent, const char* name, const TreeOperation& node) {
#if defined(__linux__)
  const mode_t mode = node.mode & (S_IFMT | 0777);
  return mknodat(parent, name, mode,
                 makedev(node.device_major, node.device_minor));
#else
  static_cast<void>(parent);
  static_cast<void>(name);
  static_cast<void>(node);
  errno = EPERM;
  return -1;
#endif
}

}  // namespace

BatchRun::BatchRun(TreeWriter* writer, const std::atomic<bool>* aborted,
                   LeftOut* left_out)
    : writer_(writer),
      aborted_(aborted),
      left_out_(left_out),
      removal_(writer->attributes_.privileged(), aborted),
      parents_(writer->root_.get(), &writer->beneath_) {}

TreeFailure BatchRun::Execute(const TreeOperation& operation) {
  using Kind = TreeOperationKind;
  const Kind kind = operation.kind;
  if (kind == Kind::kPiece) return WritePiece(operation);
  if (kind == Kind::kEndFile) return EndFile(operation);
  if (kind == Kind::kSync) return Sync();
  const bool makes = kind != Kind::kRemove && kind != Kind::kClearDirectory &&
                     kind != Kind::kSetAttributes;
  int parent = -1;
  std::string_view last;
  const TreeFailure failure = parents_.Open(
      operation.path, makes ? Beneath::Missing::kMake : Beneath::Missing::kFail,
      &parent, &last);
  if (kind == Kind::kRemove && failure.error == ENOENT) {
    return TreeFailure::None();
  }
  if (!failure.ok()) return failure;
  const TerminatedText name(last);
  if (!name.fits()) return {"open", ENAMETOOLONG};
  return ExecuteAt(operation, {parent, name.get()});
}

TreeFailure BatchRun::ExecuteAt(const TreeOperation& operation,
                                const Place& place) {
  switch (operation.kind) {
    case TreeOperationKind::kDirectory:
      return MakeDirectory(operation, place);
    case TreeOperationKind::kFile:
      return WriteFile(operation, place);
    case TreeOperationKind::kBeginFile:
      return BeginFile(operation, place);
    case TreeOperationKind::kSymbolicLink:
      return MakeSymbolicLink(operation, place);
    case TreeOperationKind::kHardLink:
      return MakeHardLink(operation, place);
    case TreeOperationKind::kNode:
      return MakeNode(operation, place);
    case TreeOperationKind::kRemove:
      return Remove(operation, place);
    case TreeOperationKind::kClearDirectory:
      return removal_.Clear(place.parent, place.name);
    case TreeOperationKind::kSetAttributes:
      return SetAttributes(operation, place, kAnyType);
    case TreeOperationKind::kPiece:
    case TreeOperationKind::kEndFile:
    case TreeOperationKind::kSync:
      break;
  }
  return {"parse", EINVAL};
}

TreeFailure BatchRun::Sync() {
#if defined(__linux__)
  if (syncfs(writer_->root_.get()) != 0) return TreeFailure::Of("syncfs");
#else
  sync();  // of all file systems, and waiting for none
#endif
  return TreeFailure::None();
}

template <class Make>
TreeFailure BatchRun::Create(const char* call, const TreeOperation& operation,
                             const Place& place, Make make, bool* made) {
  for (int attempt = 1;; attempt++) {
    *made = make() >= 0;
    if (*made) return TreeFailure::None();
    if (errno != EEXIST) return TreeFailure::Of(call);
    bool stays = !operation.has(TreeFlag::kReplace);
    if (!stays) {
      bool directory = false;
      const bool keep = operation.has(TreeFlag::kKeepDirectory);
      const TreeFailure failure =
          removal_.Remove(place.parent, place.name,
                          keep ? TreeRemoval::Directories::kKeep
                               : TreeRemoval::Directories::kRemove,
                          &directory);
      if (!failure.ok()) return failure;
      stays = directory && keep;
    }
    if (stays && operation.has(TreeFlag::kOnlyIfMissing)) {
      return TreeFailure::None();
    }
    if (stays || attempt == kMaxAttempts) return {call, EEXIST};
  }
}

TreeFailure BatchRun::MakeDirectory(const TreeOperation& operation,
                                    const Place& place) {
  FileDescriptor directory;
  bool made = false;
  for (int attempt = 1;; attempt++) {
    const uint32_t mode = EntryAttributes::FirstMode(operation, kDirectoryMode);
    made = mkdirat(place.parent, place.name, static_cast<mode_t>(mode)) == 0;
    if (!made && errno != EEXIST) return TreeFailure::Of("mkdir");
    directory = FileDescriptor(
        openat(place.parent, place.name, kOpenDirectoryWithoutAccess));
    if (directory.open()) break;
    // Something else is there: ELOOP and ENOTDIR of a symbolic link.
    if (errno != ENOTDIR && errno != ELOOP) return TreeFailure::Of("open");
    if (!operation.has(TreeFlag::kReplace)) {
      return operation.has(TreeFlag::kOnlyIfMissing)
                 ? TreeFailure::None()
                 : TreeFailure{"mkdir", EEXIST};
    }
    if (attempt == kMaxAttempts) return {"mkdir", EEXIST};
    bool ignored = false;
    const TreeFailure failure = removal_.Remove(
        place.parent, place.name, TreeRemoval::Directories::kKeep, &ignored);
    if (!failure.ok()) return failure;
  }
  const OpenEntry entry(directory.get(), OpenEntry::Access::kNone);
  TreeFailure failure;
  if (made) {
    failure = writer_->attributes_.Set(WithMode(operation, kDirectoryMode),
                                       entry, left_out_);
  } else if (!operation.has(TreeFlag::kOnlyIfMissing) &&
             EntryAttributes::Any(operation)) {
    failure = writer_->attributes_.Set(operation, entry, left_out_);
  }
  parents_.Enter(operation.path, std::move(directory));
  return failure;
}

TreeFailure BatchRun::WriteFile(const TreeOperation& operation,
                                const Place& place) {
  FileDescriptor file;
  bool made = false;
  const auto make = [&] {
    file = FileDescriptor(
        openat(place.parent, place.name, kNewFile,
               EntryAttributes::FirstMode(operation, kFileMode)));
    return file.get();
  };
  TreeFailure failure = Create("open", operation, place, make, &made);
  if (!failure.ok() || !made) return failure;
  failure =
      WriteContents(file.get(), {operation.tar_offset, operation.length, 0},
                    writer_->blocks_.get(), aborted_);
  if (!failure.ok()) return failure;
  failure = writer_->attributes_.Set(
      WithMode(operation, kFileMode),
      OpenEntry(file.get(), OpenEntry::Access::kFile), left_out_);
  if (!failure.ok()) return failure;
  return file.Close() == 0 ? failure : TreeFailure::Of("close");
}

TreeFailure BatchRun::BeginFile(const TreeOperation& operation,
                                const Place& place) {
  FileDescriptor file;
  bool made = false;
  const auto make = [&] {
    file =
        FileDescriptor(openat(place.parent, place.name, kNewFile, kBegunMode));
    return file.get();
  };
  const TreeFailure failure = Create("open", operation, place, make, &made);
  if (!failure.ok()) return failure;
  // There would be no file for what follows.
  if (!made) return {"open", EEXIST};
  return {"open", writer_->files_.Add(operation.file_id, &file)};
}

TreeFailure BatchRun::WritePiece(const TreeOperation& operation) {
  const int file = writer_->files_.Use(operation.file_id);
  if (file < 0) return {"write", EBADF};
  const TreeFailure failure = WriteContents(
      file, {operation.tar_offset, operation.length, operation.file_offset},
      writer_->blocks_.get(), aborted_);
  writer_->files_.Done(operation.file_id);
  return failure;
}

TreeFailure BatchRun::EndFile(const TreeOperation& operation) {
  FileDescriptor file;
  const int error = writer_->files_.Take(operation.file_id, &file);
  if (error != 0) return {"close", error};
  if (ftruncate(file.get(), static_cast<off_t>(operation.file_offset)) != 0) {
    return TreeFailure::Of("ftruncate");
  }
  const TreeFailure failure = writer_->attributes_.Set(
      WithMode(operation, kFileMode),
      OpenEntry(file.get(), OpenEntry::Access::kFile), left_out_);
  if (!failure.ok()) return failure;
  return file.Close() == 0 ? failure : TreeFailure::Of("close");
}

TreeFailure BatchRun::MakeSymbolicLink(const TreeOperation& operation,
                                       const Place& place) {
  const TerminatedText target(operation.link);
  if (!target.fits()) return {"symlink", ENAMETOOLONG};
  bool made = false;
  const auto make = [&] {
    return symlinkat(target.get(), place.parent, place.name);
  };
  const TreeFailure failure = Create("symlink", operation, place, make, &made);
  if (!failure.ok() || !made || !EntryAttributes::Any(operation)) {
    return failure;
  }
  return SetAttributes(operation, place, S_IFLNK);
}

TreeFailure BatchRun::MakeHardLink(const TreeOperation& operation,
                                   const Place& place) {
  ParentDirectory targets(writer_->root_.get(), &writer_->beneath_);
  int parent = -1;
  std::string_view last;
  TreeFailure failure =
      targets.Open(operation.link, Beneath::Missing::kFail, &parent, &last);
  if (!failure.ok()) return failure;
  const TerminatedText target(last);
  if (!target.fits()) return {"link", ENAMETOOLONG};
  bool made = false;
  const auto make = [&] {
    return linkat(parent, target.get(), place.parent, place.name, 0);
  };
  failure = Create("link", operation, place, make, &made);
  if (!failure.ok() || !made || !EntryAttributes::Any(operation)) {
    return failure;
  }
  return SetAttributes(operation, place, kAnyType);
}

TreeFailure BatchRun::MakeNode(const TreeOperation& operation,
                               const Place& place) {
  const TreeOperation node = WithMode(operation, kFileMode);
  bool made = false;
  bool refused = false;
  const auto make = [&] {
    const int result = MakeNodeAt(place.parent, place.name, node);
    refused = result < 0 && errno == EPERM;
    return result;
  };
  const TreeFailure failure = Create("mknod", operation, place, make, &made);
  if (refused && IsDevice(node) && !writer_->attributes_.privileged()) {
    left_out_->devices++;
    return TreeFailure::None();
  }
  if (!failure.ok() || !made) return failure;
  return SetAttributes(node, place, node.mode & S_IFMT);
}

TreeFailure BatchRun::Remove(const TreeOperation& operation,
                             const Place& place) {
  bool ignored = false;
  return removal_.Remove(place.parent, place.name,
                         operation.has(TreeFlag::kKeepDirectory)
                             ? TreeRemoval::Directories::kKeep
                             : TreeRemoval::Directories::kRemove,
                         &ignored);
}

TreeFailure BatchRun::SetAttributes(const TreeOperation& operation,
                                    const Place& place, uint32_t type) {
  const FileDescriptor found(
      openat(place.parent, place.name, kOpenWithoutAccess));
  if (!found.open()) return TreeFailure::Of("open");
  const OpenEntry entry(found.get(), OpenEntry::Access::kNone);
  struct stat status;
  if (type != kAnyType) {
    if (entry.Stat(&status) != 0) return TreeFailure::Of("stat");
    // Somebody has put something else there.
    if ((status.st_mode & S_IFMT) != type) return {"open", ESTALE};
  }
  return writer_->attributes_.Set(operation, entry, left_out_);
}

}  // namespace soci
