// Batches beside each other, on one file, too. And somebody who may change the
// tree puts links to outside in the way while operations are executed: whatever
// fails, nothing outside is touched.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "tree_batch.h"

namespace soci::test {
namespace {

using Resolver = Beneath::Resolver;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kRounds = 300;
#else
constexpr int kRounds = 1000;
#endif

constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE of linux/fs.h

// Exchanges two names in a directory until it is told to stop.
class Swapper {
 public:
  Swapper(const std::string& a, const std::string& b)
      : thread_([this, a, b] {
          while (!stop_.load()) {
            if (syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(),
                        kExchange) == 0) {
              swaps_++;
            }
          }
        }) {}
  // How often it did.
  long Stop() {
    stop_ = true;
    thread_.join();
    return swaps_;
  }

 private:
  std::atomic<bool> stop_{false};
  long swaps_ = 0;
  std::thread thread_;
};

struct Outside {
  TemporaryDirectory directory;
  Outside() {
    WriteFile(directory.At("keep"), "kept");
    CHECK(mkdir(directory.At("sub").c_str(), 0755) == 0);
    WriteFile(directory.At("sub/keep"), "kept, too");
    before = StatOf(directory.At("keep"));
    root_before = StatOf(directory.At("."));
    sub_before = StatOf(directory.At("sub"));
  }
  void CheckUntouched() const {
    CHECK(ReadFile(directory.At("keep")) == "kept");
    CHECK(ReadFile(directory.At("sub/keep")) == "kept, too");
    CheckSame(before, StatOf(directory.At("keep")));
    CheckSame(root_before, StatOf(directory.At(".")));
    CheckSame(sub_before, StatOf(directory.At("sub")));
  }
  static void CheckSame(const struct stat& a, const struct stat& b) {
    CHECK_EQ(a.st_mode, b.st_mode);
    CHECK_EQ(a.st_uid, b.st_uid);
    CHECK_EQ(a.st_nlink, b.st_nlink);
    CHECK_EQ(a.st_mtim.tv_sec, b.st_mtim.tv_sec);
    // What was made, removed or changed in it would show here.
    CHECK_EQ(a.st_ctim.tv_sec, b.st_ctim.tv_sec);
    CHECK_EQ(a.st_ctim.tv_nsec, b.st_ctim.tv_nsec);
  }
  struct stat before;
  struct stat root_before;
  struct stat sub_before;
};

Record WithAttributes(Record record) {
  record.flags |= TreeFlag::kMode | TreeFlag::kTimes | TreeFlag::kOwner;
  record.mode |= 0777;
  record.uid = geteuid();
  record.gid = getegid();
  return record;
}

// A parent of everything becomes a link, and is itself again.
void ParentsAreSwapped(Resolver resolver) {
  const Outside outside;
  const TemporaryDirectory root;
  CHECK(mkdir(root.At("a").c_str(), 0755) == 0);
  CHECK(symlink(outside.directory.At(".").c_str(), root.At("z").c_str()) == 0);
  TreeWriter::Options options;
  options.resolver = resolver;
  Tree tree(root, options);
  const Record contents = tree.File("", "inside");
  Swapper swapper(root.At("a"), root.At("z"));
  int done = 0;
  int refused = 0;
  for (int round = 0; round < kRounds; round++) {
    Record file = contents;
    file.path = "a/new-" + std::to_string(round % 100);
    file.flags = TreeFlag::kReplace;
    const std::vector<Record> records = {
        WithAttributes(file),
        WithAttributes({Kind::kDirectory, "a/sub/deeper/and/deeper"}),
        {Kind::kSymbolicLink, "a/link" + std::to_string(round), "x"},
        {Kind::kHardLink, "hard" + std::to_string(round), "a/keep"},
        WithAttributes({Kind::kSetAttributes, "a/keep"}),
        {Kind::kRemove, "a/keep"},
        {Kind::kRemove, "a/sub"},
        {Kind::kClearDirectory, "a/sub"},
        {Kind::kClearDirectory, "a"},
    };
    for (const Record& record : records) {
      const BatchResult result = tree.Run({record});
      if (result.failure.ok()) {
        done++;
      } else {
        refused++;
      }
    }
  }
  const long swaps = swapper.Stop();
  CHECK(swaps > 0 && done > 0 && refused > 0);
  outside.CheckUntouched();
}

// The entry itself becomes a link between it is made and is given attributes,
// or between it is found and gone into.
void EntriesAreSwapped(Resolver resolver) {
  const Outside outside;
  const TemporaryDirectory root;
  TreeWriter::Options options;
  options.resolver = resolver;
  Tree tree(root, options);
  CHECK(tree.Run({{Kind::kDirectory, "d"}}).failure.ok());
  Swapper swapper(root.At("d/x"), root.At("d/y"));
  const Record contents = tree.File("", "inside");
  int done = 0;
  for (int round = 0; round < kRounds; round++) {
    Record inside = contents;
    inside.path = "d/x/keep";
    Record fifo{Kind::kNode, "d/x"};
    fifo.mode = S_IFIFO;
    fifo.flags = TreeFlag::kReplace;
    const std::vector<Record> records = {
        {Kind::kSymbolicLink, "d/y", outside.directory.At("sub")},
        WithAttributes({Kind::kDirectory, "d/x"}),
        inside,
        WithAttributes({Kind::kSetAttributes, "d/x"}),
        WithAttributes(fifo),
        {Kind::kRemove, "d/x"},
        WithAttributes({Kind::kDirectory, "d/x"}),
        inside,
        {Kind::kClearDirectory, "d/x"},
        {Kind::kClearDirectory, "d"},
    };
    for (const Record& record : records) {
      if (tree.Run({record}).failure.ok()) done++;
    }
  }
  CHECK(swapper.Stop() > 0 && done > 0);
  outside.CheckUntouched();
}

void BatchesAreBesideEachOther(Resolver resolver) {
  constexpr size_t kThreads = 3;
  constexpr size_t kPieces = 60;
  constexpr size_t kPieceSize = 10000;
  const TemporaryDirectory root;
  TreeWriter::Options options;
  options.resolver = resolver;
  Tree tree(root, options);
  std::string contents;
  for (size_t i = 0; i < kPieces * kPieceSize; i++) {
    contents += static_cast<char>('a' + i % 26 + i / 5000 % 3);
  }
  tree.Add(contents);
  Record begin{Kind::kBeginFile, "large"};
  begin.id = 1;
  CHECK(tree.Run({begin}).failure.ok());
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (size_t thread = 0; thread < kThreads; thread++) {
    threads.emplace_back([&, thread] {
      for (size_t i = thread; i < kPieces; i += kThreads) {
        Record piece{Kind::kPiece, ""};
        piece.id = 1;
        piece.tar_offset = piece.file_offset = i * kPieceSize;
        piece.length = kPieceSize;
        Record small = piece;
        small.kind = Kind::kFile;
        small.path =
            "shared/" + std::to_string(i % 7) + "/" + std::to_string(i);
        Record own{Kind::kBeginFile, "begun" + std::to_string(i)};
        own.id = static_cast<uint32_t>(2 + i);
        Record end{Kind::kEndFile, ""};
        end.id = own.id;
        if (!tree.Run({piece, small, own, end}).failure.ok()) failures++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(failures.load(), 0);
  Record end{Kind::kEndFile, ""};
  end.id = 1;
  end.file_offset = contents.size();
  CHECK(tree.Run({end}).failure.ok());
  CHECK(ReadFile(root.At("large")) == contents);
  for (size_t i = 0; i < kPieces; i++) {
    CHECK(ReadFile(root.At("shared/" + std::to_string(i % 7) + "/" +
                           std::to_string(i))) ==
          contents.substr(i * kPieceSize, kPieceSize));
  }
}

bool CanSwap() {
  const TemporaryDirectory root;
  WriteFile(root.At("a"), "");
  WriteFile(root.At("b"), "");
  return syscall(SYS_renameat2, AT_FDCWD, root.At("a").c_str(), AT_FDCWD,
                 root.At("b").c_str(), kExchange) == 0;
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  // Disks take much longer, and say nothing more.
  if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
  const bool can_swap = CanSwap();
  if (!can_swap) {
    std::printf("tree_race_test: no RENAME_EXCHANGE here, skipped\n");
  }
  for (const Resolver resolver :
       {Resolver::kWholePaths, Resolver::kNameByName}) {
    BatchesAreBesideEachOther(resolver);
    if (!can_swap) continue;
    ParentsAreSwapped(resolver);
    EntriesAreSwapped(resolver);
  }
  return Report("tree_race_test");
}
