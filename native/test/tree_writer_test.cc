// Every kind of operation, with both ways to resolve paths: what is there
// afterwards, and what is refused.
#include "../core/tree/tree_writer.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "tree_batch.h"

namespace soci::test {
namespace {

using Resolver = Beneath::Resolver;

constexpr uint8_t kAll = TreeFlag::kOwner | TreeFlag::kMode | TreeFlag::kTimes;

const bool kRoot = geteuid() == 0;
// Some file systems for temporary files have none.
bool HasXattrs(const TemporaryDirectory& root) {
  return setxattr(root.At(".").c_str(), "user.probe", "", 0, 0) == 0 &&
         removexattr(root.At(".").c_str(), "user.probe") == 0;
}

TreeWriter::Options With(Resolver resolver, bool privileged = kRoot) {
  TreeWriter::Options options;
  options.resolver = resolver;
  options.privileged = privileged;
  return options;
}

bool Failed(const BatchResult& result, size_t operation, const char* call,
            int error) {
  const bool as_expected = !result.failure.ok() &&
                           result.operation == operation &&
                           std::strcmp(result.failure.call, call) == 0 &&
                           result.failure.error == error;
  if (!as_expected) {
    std::fprintf(stderr, "  found %zu %s %d\n", result.operation,
                 result.failure.call == nullptr ? "" : result.failure.call,
                 result.failure.error);
  }
  return as_expected;
}

std::string XattrOf(const std::string& path, const char* name) {
  char value[256];
  const ssize_t size = lgetxattr(path.c_str(), name, value, sizeof value);
  return size < 0 ? "(none)" : std::string(value, static_cast<size_t>(size));
}

Record WithAttributes(Record record, uint32_t mode) {
  record.flags |= kAll;
  record.mode |= mode;
  record.uid = kRoot ? 1234 : geteuid();
  record.gid = kRoot ? 2345 : getegid();
  record.seconds = 1000000000;
  record.nanoseconds = 123456789;
  return record;
}

void CheckAttributes(const std::string& path, uint32_t mode) {
  const struct stat found = StatOf(path);
  if (!S_ISLNK(found.st_mode)) CHECK_EQ(found.st_mode & 07777u, mode);
  CHECK_EQ(found.st_uid, kRoot ? 1234 : geteuid());
  CHECK_EQ(found.st_gid, kRoot ? 2345 : getegid());
  CHECK_EQ(found.st_mtim.tv_sec, 1000000000);
  CHECK_EQ(found.st_mtim.tv_nsec, 123456789);
}

void MakesEveryKind(Resolver resolver) {
  const TemporaryDirectory root;
  Tree tree(root, With(resolver));
  Record device{Kind::kNode, "device"};
  device.mode = S_IFCHR;
  device.major = 1;
  device.minor = 3;
  Record fifo{Kind::kNode, "fifo"};
  fifo.mode = S_IFIFO;
  std::vector<Record> records = {
      WithAttributes({Kind::kDirectory, "dir"}, 01750),
      WithAttributes(tree.File("dir/file", "contents"), 04711),
      WithAttributes(tree.File("empty", ""), 0),
      WithAttributes({Kind::kSymbolicLink, "link", "../nowhere/"}, 0777),
      WithAttributes(fifo, 0622),
      {Kind::kHardLink, "hard", "dir/file"},
      {Kind::kHardLink, "dir/hard-link", "link"},
  };
  if (kRoot) records.push_back(WithAttributes(device, 0666));
  const BatchResult result = tree.Run(records);
  CHECK(result.failure.ok());
  CHECK_EQ(result.operation, records.size());
  CHECK_EQ(result.left_out.owners + result.left_out.xattrs, 0u);

  CHECK(S_ISDIR(StatOf(root.At("dir")).st_mode));
  // What was made in it since has changed its time.
  CHECK(tree.Run({WithAttributes({Kind::kSetAttributes, "dir"}, 01750)})
            .failure.ok());
  CheckAttributes(root.At("dir"), 01750);
  CheckAttributes(root.At("dir/file"), 04711);
  CHECK(ReadFile(root.At("dir/file")) == "contents");
  CheckAttributes(root.At("empty"), 0);
  CHECK_EQ(StatOf(root.At("empty")).st_size, 0);
  CheckAttributes(root.At("link"), 0);
  char target[32] = {};
  CHECK_EQ(readlink(root.At("link").c_str(), target, sizeof target), 11);
  CHECK(std::string(target) == "../nowhere/");
  CHECK(S_ISFIFO(StatOf(root.At("fifo")).st_mode));
  CheckAttributes(root.At("fifo"), 0622);
  CHECK_EQ(StatOf(root.At("hard")).st_ino, StatOf(root.At("dir/file")).st_ino);
  CHECK_EQ(StatOf(root.At("dir/hard-link")).st_ino,
           StatOf(root.At("link")).st_ino);
  if (kRoot) {
    const struct stat found = StatOf(root.At("device"));
    CHECK(S_ISCHR(found.st_mode) && found.st_rdev == makedev(1, 3));
    CheckAttributes(root.At("device"), 0666);
  }
}

void MakesParentsWhateverTheUmask(Resolver resolver) {
  const TemporaryDirectory root;
  Tree tree(root, With(resolver));
  Record fifo{Kind::kNode, "f"};
  fifo.mode = S_IFIFO;
  Record exact = tree.File("m", "y");
  exact.flags = TreeFlag::kMode;
  exact.mode = 0666;
  const mode_t before = umask(0077);
  CHECK(tree.Run({tree.File("a/b/c/file", "x"),
                  {Kind::kDirectory, "a/d"},
                  fifo,
                  exact})
            .failure.ok());
  umask(before);
  for (const char* name : {"a", "a/b", "a/b/c", "a/d"}) {
    CHECK_EQ(StatOf(root.At(name)).st_mode & 07777u, 0755u);
  }
  CHECK_EQ(StatOf(root.At("a/b/c/file")).st_mode & 07777u, 0644u);
  CHECK_EQ(StatOf(root.At("f")).st_mode & 07777u, 0644u);
  CHECK_EQ(StatOf(root.At("m")).st_mode & 07777u, 0666u);
}

void WritesPieces(Resolver resolver) {
  const TemporaryDirectory root;
  Tree tree(root, With(resolver));
  const std::string whole(TarBlocks::kBlockSize + 5, 'x');
  tree.Add("before");
  Record first{Kind::kPiece, ""};
  first.id = 7;
  first.tar_offset = tree.Add(whole + "tail");
  first.length = whole.size();
  Record second = first;
  second.tar_offset += whole.size();
  second.length = 4;
  second.file_offset = (1 << 20) + whole.size();
  Record begin{Kind::kBeginFile, "dir/large"};
  begin.id = 7;
  Record end = WithAttributes({Kind::kEndFile, ""}, 06755);
  end.id = 7;
  end.file_offset = whole.size() + (2 << 20);
  CHECK(tree.Run({begin, second}).failure.ok());
  CHECK(Failed(tree.Run({first, begin}), 1, "open", EEXIST));
  CHECK(tree.Run({end}).failure.ok());
  const std::string gap(1 << 20, '\0');
  CHECK(ReadFile(root.At("dir/large")) == whole + gap + "tail" + gap.substr(4));
  CheckAttributes(root.At("dir/large"), 06755);
  CHECK(Failed(tree.Run({first}), 0, "write", EBADF));
  CHECK(Failed(tree.Run({end}), 0, "close", EBADF));
}

void BoundsOpenFiles() {
  const TemporaryDirectory root;
  Tree tree(root);
  Record begin{Kind::kBeginFile, "file"};
  std::vector<Record> records;
  for (uint32_t id = 0; id <= OpenFiles::kMost; id++) {
    begin.path = "file" + std::to_string(id);
    begin.id = id;
    records.push_back(begin);
  }
  CHECK(Failed(tree.Run(records), OpenFiles::kMost, "open", EMFILE));
  begin.path = "other";
  CHECK(Failed(tree.Run({begin}), 0, "open", EMFILE));
  begin.path = "another";
  begin.id = 3;
  CHECK(Failed(tree.Run({begin}), 0, "open", EBUSY));
  tree.writer()->CloseFiles();
  begin.path = "one-more";
  CHECK(tree.Run({begin}).failure.ok());
}

void SaysWhatIsNotHeld() {
  const TemporaryDirectory root;
  Tree tree(root);
  Record file = tree.File("file", "contents");
  file.length++;
  CHECK(Failed(tree.Run({file}), 0, "write", ENODATA));
  file.path = "other";
  file.length--;
  tree.blocks()->Release(1);
  CHECK(Failed(tree.Run({file}), 0, "write", ENODATA));
}

// `there`: made before, by name: "none", "file", "dir", "full" (a directory
// with something in it), "link" (to a directory outside).
void Put(const TemporaryDirectory& root, const std::string& there,
         const std::string& outside) {
  const std::string path = root.At("x");
  if (there == "file") WriteFile(path, "old");
  if (there == "dir" || there == "full") CHECK(mkdir(path.c_str(), 0755) == 0);
  if (there == "full") WriteFile(path + "/inside", "old");
  if (there == "link") CHECK(symlink(outside.c_str(), path.c_str()) == 0);
}

void ReplacesWhatIsThere(Resolver resolver) {
  const TemporaryDirectory outside;
  WriteFile(outside.At("inside"), "outside");
  for (const char* there : {"none", "file", "dir", "full", "link"}) {
    const bool something = std::string(there) != "none";
    const bool directory =
        std::string(there) == "dir" || std::string(there) == "full";
    for (const int kind : {1, 2, 3, 6, 7, 8}) {
      for (const uint8_t flags :
           {uint8_t{0}, TreeFlag::kReplace, TreeFlag::kOnlyIfMissing,
            static_cast<uint8_t>(TreeFlag::kReplace |
                                 TreeFlag::kKeepDirectory)}) {
        const TemporaryDirectory root;
        Tree tree(root, With(resolver));
        WriteFile(root.At("target"), "target");
        Put(root, there, outside.At("."));
        const bool was = Exists(root.At("x"));
        Record record = tree.File("x", "new");
        record.kind = static_cast<Kind>(kind);
        record.flags = flags;
        record.link = "target";
        if (record.kind == Kind::kNode) record.mode = S_IFIFO;
        const BatchResult result = tree.Run({record});
        const bool keeps = (flags & TreeFlag::kKeepDirectory) != 0;
        const bool replaced =
            (flags & TreeFlag::kReplace) != 0 && !(directory && keeps);
        const bool skipped =
            (flags & TreeFlag::kOnlyIfMissing) != 0 && kind != 3;
        if (kind == 1 && directory) {
          CHECK(result.failure.ok());
          CHECK_EQ(Exists(root.At("x/inside")), std::string(there) == "full");
        } else if (!something || replaced) {
          CHECK(result.failure.ok());
          const int type =
              static_cast<int>(StatOf(root.At("x")).st_mode & S_IFMT);
          CHECK_EQ(type, kind == 1   ? S_IFDIR
                         : kind == 6 ? S_IFLNK
                         : kind == 8 ? S_IFIFO
                                     : S_IFREG);
        } else {
          CHECK_EQ(result.failure.ok(), skipped);
          if (!skipped) CHECK_EQ(result.failure.error, EEXIST);
          CHECK(Exists(root.At("x")) == was);
          if (std::string(there) == "file") {
            CHECK(ReadFile(root.At("x")) == "old");
          }
        }
        CHECK(ReadFile(outside.At("inside")) == "outside");
      }
    }
  }
}

void FollowsNoLink(Resolver resolver) {
  const TemporaryDirectory outside;
  const TemporaryDirectory root;
  Tree tree(root, With(resolver));
  CHECK(mkdir(root.At("inside").c_str(), 0755) == 0);
  CHECK(symlink(outside.At(".").c_str(), root.At("out").c_str()) == 0);
  CHECK(symlink("inside", root.At("in").c_str()) == 0);
  WriteFile(outside.At("file"), "outside");
  CHECK(symlink(outside.At("file").c_str(), root.At("to-file").c_str()) == 0);
  const struct stat before = StatOf(outside.At("file"));
  for (const std::string link : {"out", "in"}) {
    std::vector<Record> records = {
        tree.File(link + "/new", "x"),
        {Kind::kDirectory, link + "/sub/dir"},
        {Kind::kSymbolicLink, link + "/s", "t"},
        {Kind::kHardLink, link + "/h", "inside"},
        {Kind::kHardLink, "h", link + "/file"},
        {Kind::kRemove, link + "/file"},
        {Kind::kClearDirectory, link + "/sub"},
        {Kind::kClearDirectory, link},
        WithAttributes({Kind::kSetAttributes, link + "/file"}, 0777),
    };
    for (const Record& record : records) {
      const BatchResult result = tree.Run({record});
      CHECK(result.failure.error == ELOOP || result.failure.error == ENOTDIR);
    }
  }
  for (const char* name : {"to-file", "out"}) {
    CHECK(tree.Run({WithAttributes({Kind::kSetAttributes, name}, 0777)})
              .failure.ok());
    CheckAttributes(root.At(name), 0);
  }
  CHECK(tree.Run({{Kind::kRemove, "out"}}).failure.ok());
  CHECK(ReadFile(outside.At("file")) == "outside");
  CHECK(!Exists(outside.At("new")) && !Exists(outside.At("sub")));
  const struct stat after = StatOf(outside.At("file"));
  CHECK(before.st_mode == after.st_mode && before.st_uid == after.st_uid);
  CHECK_EQ(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
}

void RemovesTrees(Resolver resolver) {
  const TemporaryDirectory outside;
  WriteFile(outside.At("file"), "outside");
  const TemporaryDirectory root;
  Tree tree(root, With(resolver));
  // Far deeper than descriptors are open, or a path may be long.
  constexpr size_t kDepth = 1500;
  std::string deep = "deep";
  std::vector<Record> records;
  for (size_t i = 0; i < kDepth; i++) {
    records.push_back({Kind::kDirectory, deep});
    if (i % 100 == 0) records.push_back(tree.File(deep + "/.removed-1", "x"));
    deep += "/d";
  }
  records.push_back(tree.File(deep + "/file", "bottom"));
  records.push_back({Kind::kSymbolicLink, "deep/out", outside.At(".")});
  for (int i = 0; i < 2000; i++) {
    records.push_back(tree.File("deep/many/" + std::to_string(i), ""));
  }
  CHECK(tree.Run(records).failure.ok());
  // Its parent does not exist, nor does it.
  CHECK(tree.Run({{Kind::kRemove, "none/none"}, {Kind::kRemove, "none"}})
            .failure.ok());
  CHECK(!Exists(root.At("none")));
  Record keep{Kind::kRemove, "deep"};
  keep.flags = TreeFlag::kKeepDirectory;
  CHECK(tree.Run({keep}).failure.ok());
  CHECK(Exists(root.At("deep/many/7")));
  CHECK(tree.Run({{Kind::kClearDirectory, "deep/many"}}).failure.ok());
  CHECK(Exists(root.At("deep/many")) && !Exists(root.At("deep/many/7")));
  CHECK(tree.Run({{Kind::kRemove, "deep"}, tree.File("deep", "file")})
            .failure.ok());
  CHECK(ReadFile(root.At("deep")) == "file");
  CHECK(tree.Run({tree.File("a/b", "x"), {Kind::kClearDirectory, ""}})
            .failure.ok());
  CHECK(!Exists(root.At("a")) && !Exists(root.At("deep")));
  CHECK(ReadFile(outside.At("file")) == "outside");
  CHECK(Failed(tree.Run({{Kind::kClearDirectory, "none"}}), 0, "open", ENOENT));
}

// What was opened for an earlier operation of the batch is not gone on with.
void KeepsNoDirectoryThatWasRemoved(Resolver resolver) {
  const TemporaryDirectory root;
  Tree tree(root, With(resolver));
  Record replacement{Kind::kSymbolicLink, "a", "b"};
  replacement.flags = TreeFlag::kReplace;
  CHECK(tree.Run({tree.File("a/b/c/one", "1"),
                  {Kind::kRemove, "a"},
                  tree.File("a/b/c/two", "2"),
                  {Kind::kClearDirectory, ""},
                  tree.File("a/b/c/three", "3"),
                  {Kind::kRemove, "a/b"},
                  {Kind::kDirectory, "a/b"},
                  {Kind::kRemove, "a/b"},
                  tree.File("a/b/four", "4")})
            .failure.ok());
  CHECK(!Exists(root.At("a/b/c")));
  CHECK(ReadFile(root.At("a/b/four")) == "4");
  const int error = tree.Run({tree.File("a/b/five", ""), replacement,
                              tree.File("a/b/six", "")})
                        .failure.error;
  CHECK(error == ELOOP || error == ENOTDIR);
}

void SetsXattrs(Resolver resolver) {
  const TemporaryDirectory root;
  if (!HasXattrs(root)) {
    std::printf("tree_writer_test: no xattrs here, skipped\n");
    return;
  }
  Tree tree(root, With(resolver));
  Record file = WithAttributes(tree.File("file", "x"), 0444);
  file.xattrs = {{"user.a", "1"}, {"user.b", std::string("\0\1", 2)}};
  Record dir = WithAttributes({Kind::kDirectory, "dir"}, 0555);
  dir.xattrs = {{"user.old", "1"}};
  Record link{Kind::kSymbolicLink, "link", "dir"};
  link.xattrs = {{"user.a", "nobody may"}};
  BatchResult result = tree.Run({file, dir, link});
  CHECK(result.failure.ok());
  CHECK_EQ(result.left_out.xattrs, 1u);
  CHECK(XattrOf(root.At("file"), "user.a") == "1");
  CHECK(XattrOf(root.At("file"), "user.b") == std::string("\0\1", 2));
  CheckAttributes(root.At("file"), 0444);
  dir.xattrs = {{"user.new", ""}};
  CHECK(tree.Run({dir}).failure.ok());
  CHECK(XattrOf(root.At("dir"), "user.old") == "1");
  dir.flags |= TreeFlag::kOnlyTheseXattrs;
  CHECK(tree.Run({dir}).failure.ok());
  CHECK(XattrOf(root.At("dir"), "user.old") == "(none)");
  CHECK(XattrOf(root.At("dir"), "user.new").empty());
  link.path = "other";
  link.flags = TreeFlag::kXattrsRequired;
  CHECK(Failed(tree.Run({link}), 0, "setxattr", EPERM));
  file.path = "third";
  file.xattrs = {{"nonsense", "1"}};
  result = tree.Run({file});
  CHECK(result.failure.ok() && result.left_out.xattrs == 1);
  file.path = "fourth";
  file.xattrs = {{"user." + std::string(300, 'n'), "1"}};
  CHECK(Failed(tree.Run({file}), 0, "setxattr", ERANGE));
  if (!kRoot) return;
  // Of version 2, permitted: cap_chown.
  const std::string capability("\1\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  file.path = "capable";
  file.xattrs = {{"security.capability", capability}};
  CHECK(tree.Run({file}).failure.ok());
  CHECK(XattrOf(root.At("capable"), "security.capability") == capability);
  Record link_attributes{Kind::kSymbolicLink, "trusted", "dir"};
  link_attributes.xattrs = {{"trusted.a", "1"}};
  CHECK(tree.Run({link_attributes}).failure.ok());
  CHECK(XattrOf(root.At("trusted"), "trusted.a") == "1");
}

// Set-id bits are for the owner they were meant for.
void LeavesOwnersAlone(Resolver resolver) {
  const TemporaryDirectory root;
  TreeWriter::Options options = With(resolver, false);
  options.owners = false;
  Tree tree(root, options);
  Record file = tree.File("file", "x");
  file.flags = kAll;
  file.mode = 06755;
  file.uid = geteuid() + 1;
  file.gid = getegid();
  Record dir{Kind::kDirectory, "dir"};
  dir.flags = kAll;
  dir.mode = 02755;
  dir.uid = geteuid();
  dir.gid = getegid() + 1;
  const BatchResult result = tree.Run({file, dir});
  CHECK(result.failure.ok());
  CHECK_EQ(result.left_out.owners, 2u);
  CHECK_EQ(StatOf(root.At("file")).st_mode & 07777u, 02755u);
  CHECK_EQ(StatOf(root.At("file")).st_uid, geteuid());
  CHECK_EQ(StatOf(root.At("dir")).st_mode & 07777u, 02755u);
}

// As somebody else, where we are root: what is refused is left out and counted,
// and directories that forbid it do not keep what is to go.
void DoesWhatItMay(Resolver resolver) {
  if (kRoot) CHECK(seteuid(65534) == 0);
  {
    const TemporaryDirectory root;
    Tree tree(root, With(resolver, false));
    Record file = tree.File("file", "x");
    file.flags = kAll;
    file.mode = 06711;
    file.uid = 0;
    file.gid = StatOf(root.At(".")).st_gid;
    file.xattrs = {{"trusted.a", "1"}};
    Record device{Kind::kNode, "device"};
    device.mode = S_IFBLK;
    device.flags = TreeFlag::kReplace;
    Record locked{Kind::kDirectory, "dir/locked"};
    locked.flags = TreeFlag::kMode;
    Record read_only{Kind::kSetAttributes, "dir/full"};
    read_only.flags = TreeFlag::kMode;
    read_only.mode = 0500;
    const BatchResult result =
        tree.Run({file, tree.File("device", ""), device, locked,
                  tree.File("dir/full/of/files", ""), read_only});
    CHECK(result.failure.ok());
    CHECK_EQ(result.left_out.owners, 1u);
    CHECK_EQ(result.left_out.xattrs, 1u);
    CHECK_EQ(result.left_out.devices, 1u);
    CHECK_EQ(StatOf(root.At("file")).st_mode & 07777u, 02711u);
    CHECK(!Exists(root.At("device")));
    CHECK(tree.Run({{Kind::kRemove, "dir"}}).failure.ok());
    CHECK(!Exists(root.At("dir")));
  }
  if (kRoot) CHECK(seteuid(0) == 0);
}

void Syncs(Resolver resolver) {
  const TemporaryDirectory root;
  Tree tree(root, With(resolver));
  CHECK(tree.Run({tree.File("file", "x"), {Kind::kSync, ""}}).failure.ok());
}

void TakesNoIdForUnset(Resolver resolver) {
  const TemporaryDirectory root;
  Tree tree(root, With(resolver, true));
  Record file = tree.File("file", "x");
  file.flags = TreeFlag::kOwner;
  file.uid = geteuid();
  file.gid = UINT32_MAX;
  CHECK(Failed(tree.Run({file}), 0, "chown", EINVAL));
}

void TakesLongNames(Resolver resolver) {
  const TemporaryDirectory root;
  Tree tree(root, With(resolver));
  const std::string name(255, 'n');
  std::string path = name;
  while (path.size() < 9000) path += "/" + name;
  CHECK(tree.Run({tree.File(path, "deep"), tree.File(path + "2", "deep")})
            .failure.error == ENAMETOOLONG);
  CHECK(tree.Run({{Kind::kHardLink, "short", path}, {Kind::kRemove, path}})
            .failure.ok());
  CHECK(ReadFile(root.At("short")) == "deep");
  CHECK(Failed(tree.Run({tree.File(name + "n", "")}), 0, "open", ENAMETOOLONG));
  CHECK(Failed(tree.Run({tree.File(std::string(70000, 'n'), "")}), 0, "open",
               ENAMETOOLONG));
  CHECK(Failed(tree.Run({{Kind::kDirectory, name + "n/x"}}), 0, "open",
               ENAMETOOLONG));
  CHECK(Failed(tree.Run({{Kind::kSymbolicLink, "s", std::string(70000, 's')}}),
               0, "symlink", ENAMETOOLONG));
  CHECK(
      Failed(tree.Run({{Kind::kSymbolicLink, "s", ""}}), 0, "symlink", ENOENT));
}

void DoesNothingOfAMalformedBatch() {
  const TemporaryDirectory root;
  Tree tree(root);
  const BatchResult result =
      tree.Run({tree.File("a", ""), tree.File("b", ""), tree.File("../c", "")});
  CHECK(Failed(result, 2, "parse", EINVAL));
  CHECK(!Exists(root.At("a")));
  CHECK(Failed(tree.Run(Bytes(79)), 0, "parse", EINVAL));
  CHECK(tree.Run(Bytes()).failure.ok());
}

// Where we may mount something.
void SaysThatTheDiskIsFull() {
  const TemporaryDirectory root;
  if (mount("tmpfs", root.At(".").c_str(), "tmpfs", 0,
            "size=64k,nr_inodes=8") != 0) {
    std::printf("tree_writer_test: cannot mount a small disk, skipped\n");
    return;
  }
  {
    Tree tree(root);
    CHECK(Failed(tree.Run({tree.File("small", "x"),
                           tree.File("large", std::string(100000, 'x'))}),
                 1, "write", ENOSPC));
    CHECK(tree.Run({{Kind::kRemove, "large"}}).failure.ok());
    std::vector<Record> links;
    for (int i = 0; i < 10; i++) {
      links.push_back({Kind::kSymbolicLink, std::to_string(i), "x"});
    }
    const BatchResult result = tree.Run(links);
    CHECK(Failed(result, result.operation, "symlink", ENOSPC));
    CHECK(tree.Run({{Kind::kClearDirectory, ""}}).failure.ok());
    CHECK(tree.Run({tree.File("again", "x")}).failure.ok());
  }
  CHECK(umount(root.At(".").c_str()) == 0);
}

void StopsWhenAborted() {
  const TemporaryDirectory root;
  Tree tree(root);
  const Bytes batch = BatchOf({tree.File("a", "x")});
  const std::atomic<bool> aborted{true};
  BatchResult result;
  tree.writer()->Run(batch.data(), batch.size(), &aborted, &result);
  CHECK_EQ(result.failure.error, ECANCELED);
  CHECK(!Exists(root.At("a")));
}

void OpensDirectoriesOnly() {
  const TemporaryDirectory root;
  WriteFile(root.At("file"), "");
  TreeWriter writer({}, std::make_shared<TarBlocks>());
  const FileDescriptor file(open(root.At("file").c_str(), O_RDONLY));
  CHECK_EQ(writer.Open(file.get()).error, ENOTDIR);
  CHECK_EQ(writer.Open(-1).error, EBADF);
  CHECK(!writer.open());
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  for (const Resolver resolver :
       {Resolver::kWholePaths, Resolver::kNameByName}) {
    MakesEveryKind(resolver);
    MakesParentsWhateverTheUmask(resolver);
    WritesPieces(resolver);
    ReplacesWhatIsThere(resolver);
    FollowsNoLink(resolver);
    RemovesTrees(resolver);
    KeepsNoDirectoryThatWasRemoved(resolver);
    SetsXattrs(resolver);
    LeavesOwnersAlone(resolver);
    DoesWhatItMay(resolver);
    Syncs(resolver);
    TakesNoIdForUnset(resolver);
    TakesLongNames(resolver);
  }
  BoundsOpenFiles();
  SaysWhatIsNotHeld();
  DoesNothingOfAMalformedBatch();
  SaysThatTheDiskIsFull();
  StopsWhenAborted();
  OpensDirectoriesOnly();
  return Report("tree_writer_test");
}
