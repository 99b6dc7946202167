// Writes batches of operations as lib/unpack does, for tests; and a directory
// that they are executed in.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../core/bytes.h"
#include "../core/tree/tree_operations.h"
#include "../core/tree/tree_removal.h"
#include "../core/tree/tree_writer.h"
#include "check.h"

namespace soci::test {

using Kind = TreeOperationKind;

struct Record {
  Kind kind;
  std::string path;
  std::string link = "";
  uint8_t flags = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t id = 0;
  uint64_t tar_offset = 0;
  uint64_t length = 0;
  uint64_t file_offset = 0;
  std::vector<std::pair<std::string, std::string>> xattrs = {};
};

inline void Put(Bytes* bytes, const std::string& text) {
  bytes->insert(bytes->end(), text.begin(), text.end());
}

inline void Put32(Bytes* bytes, size_t at, size_t value) {
  StoreLe32(bytes->data() + at, static_cast<uint32_t>(value));
}

inline void Append(const Record& record, Bytes* batch) {
  const size_t start = batch->size();
  batch->resize(start + TreeOperationReader::kHeaderSize, 0);
  uint8_t* const header = batch->data() + start;
  header[4] = static_cast<uint8_t>(record.kind);
  header[5] = record.flags;
  header[6] = static_cast<uint8_t>(record.xattrs.size());
  StoreLe32(header + 8, static_cast<uint32_t>(record.path.size()));
  StoreLe32(header + 12, static_cast<uint32_t>(record.link.size()));
  StoreLe32(header + 16, record.mode);
  StoreLe32(header + 20, record.uid);
  StoreLe32(header + 24, record.gid);
  StoreLe32(header + 28, record.nanoseconds);
  StoreLe64(header + 32, static_cast<uint64_t>(record.seconds));
  StoreLe32(header + 40, record.major);
  StoreLe32(header + 44, record.minor);
  StoreLe32(header + 48, record.id);
  StoreLe64(header + 56, record.tar_offset);
  StoreLe64(header + 64, record.length);
  StoreLe64(header + 72, record.file_offset);
  Put(batch, record.path);
  Put(batch, record.link);
  for (const auto& [name, value] : record.xattrs) {
    const size_t at = batch->size();
    batch->resize(at + 8);
    Put32(batch, at, name.size());
    Put32(batch, at + 4, value.size());
    Put(batch, name);
    Put(batch, value);
  }
  while ((batch->size() - start) % 8 != 0) batch->push_back(0);
  Put32(batch, start, batch->size() - start);
}

inline Bytes BatchOf(const std::vector<Record>& records) {
  Bytes batch;
  for (const Record& record : records) Append(record, &batch);
  return batch;
}

// A directory of its own, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const char* const parent = std::getenv("TMPDIR");
    std::snprintf(path_, sizeof path_, "%s/soci-tree-XXXXXX",
                  parent == nullptr ? "/tmp" : parent);
    if (mkdtemp(path_) == nullptr) std::abort();
  }
  ~TemporaryDirectory() {
    bool ignored = false;
    const TreeFailure failure =
        TreeRemoval(false, nullptr)
            .Remove(AT_FDCWD, path_, TreeRemoval::Directories::kRemove,
                    &ignored);
    CHECK_EQ(failure.error, 0);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string At(const std::string& name) const {
    return std::string(path_) + "/" + name;
  }
  int Open() const { return open(path_, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

 private:
  char path_[256];
};

// A writer beneath a directory, and the tar that it writes from.
class Tree {
 public:
  explicit Tree(const TemporaryDirectory& root,
                TreeWriter::Options options = {})
      : blocks_(std::make_shared<TarBlocks>()), writer_(options, blocks_) {
    const FileDescriptor directory(root.Open());
    CHECK(writer_.Open(directory.get()).ok());
  }

  TreeWriter* writer() { return &writer_; }
  TarBlocks* blocks() { return blocks_.get(); }

  // Where in the tar these contents are.
  uint64_t Add(const std::string& contents) {
    const uint64_t offset = end_;
    end_ += contents.size();
    CHECK(blocks_
              ->Append(offset,
                       reinterpret_cast<const uint8_t*>(contents.data()),
                       contents.size())
              .ok());
    return offset;
  }

  Record File(const std::string& path, const std::string& contents) {
    Record record{Kind::kFile, path};
    record.tar_offset = Add(contents);
    record.length = contents.size();
    return record;
  }

  BatchResult Run(const Bytes& batch) {
    BatchResult result;
    writer_.Run(batch.data(), batch.size(), nullptr, &result);
    return result;
  }
  BatchResult Run(const std::vector<Record>& records) {
    return Run(BatchOf(records));
  }

 private:
  std::shared_ptr<TarBlocks> blocks_;
  TreeWriter writer_;
  uint64_t end_ = 0;
};

inline std::string ReadFile(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) return "(none)";
  std::string contents;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(file.get(), buffer, sizeof buffer);
    if (got <= 0) return contents;
    contents.append(buffer, static_cast<size_t>(got));
  }
}

inline void WriteFile(const std::string& path, const std::string& contents) {
  const FileDescriptor file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  CHECK(write(file.get(), contents.data(), contents.size()) ==
        static_cast<ssize_t>(contents.size()));
}

inline struct stat StatOf(const std::string& path) {
  struct stat found = {};
  CHECK(lstat(path.c_str(), &found) == 0);
  return found;
}

inline bool Exists(const std::string& path) {
  struct stat found;
  return lstat(path.c_str(), &found) == 0;
}

}  // namespace soci::test
