// The verified span: from memory and from a file, checked and not, both codecs,
// at the exact ends of all buffers, and nothing comes out of what is damaged.
#include "../core/verified_span.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>

#include "gzip_data.h"

namespace soci::test {
namespace {

// A file without a name that holds `bytes` behind `before` others.
class TemporaryFile {
 public:
  explicit TemporaryFile(const Bytes& bytes, size_t before = 0) {
    CHECK(file_ != nullptr);
    const auto at = static_cast<off_t>(before);
    CHECK_EQ(pwrite(fd(), bytes.data(), bytes.size(), at),
             static_cast<ssize_t>(bytes.size()));
  }
  ~TemporaryFile() { std::fclose(file_); }
  int fd() const { return fileno(file_); }

 private:
  std::FILE* file_ = std::tmpfile();
};

VerifiedSpan Whole(const StoredBytes& stored, SpanCodec codec,
                   const Bytes& bytes, size_t digest_offset = 0) {
  VerifiedSpan span;
  span.codec = codec;
  span.start.gzip_header = codec == SpanCodec::kGzip;
  span.stored = stored;
  span.checked = true;
  span.digest_offset = digest_offset;
  Sha256 hash;
  hash.Update(bytes.data() + digest_offset, bytes.size() - digest_offset);
  hash.Final(span.digest);
  return span;
}

// In buffers of exactly the sizes that the unit is told, so that sanitizers
// see a byte too far.
Status Decode(const VerifiedSpan& span, Bytes* out) {
  const std::unique_ptr<uint8_t[]> room(new uint8_t[span.stored.room()]);
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[out->size()]);
  std::memset(exact.get(), 0xa5, out->size());
  const Status status =
      span.Decode(room.get(), exact.get(), out->size(), nullptr);
  if (!out->empty()) std::memcpy(out->data(), exact.get(), out->size());
  return status;
}

bool Untouched(const Bytes& out) {
  for (const uint8_t byte : out) {
    if (byte != 0xa5) return false;
  }
  return true;
}

struct Case {
  SpanCodec codec;
  Bytes stored;
  Bytes plain;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const size_t size : {size_t{1}, size_t{65536}, size_t{3} << 20}) {
    const Bytes data = SampleData(size, size);
    cases.push_back({SpanCodec::kGzip, Gzip(data), data});
    cases.push_back({SpanCodec::kRaw, data, data});
  }
  cases.push_back({SpanCodec::kRaw, {}, {}});
  return cases;
}

void TestBothInputs() {
  for (const Case& one : Cases()) {
    Bytes out(one.plain.size());
    const auto memory =
        StoredBytes::InMemory(one.stored.data(), one.stored.size());
    if (!one.stored.empty()) {
      CHECK_EQ(memory.room(), 0u);
      CHECK(Decode(Whole(memory, one.codec, one.stored), &out).ok());
      CHECK(out == one.plain);
    }
    for (const size_t before : {size_t{0}, size_t{12345}}) {
      const TemporaryFile file(one.stored, before);
      const auto stored =
          StoredBytes::InFile(file.fd(), before, one.stored.size());
      CHECK_EQ(stored.room(), one.stored.size());
      std::fill(out.begin(), out.end(), uint8_t{0});
      CHECK(Decode(Whole(stored, one.codec, one.stored), &out).ok());
      CHECK(out == one.plain);
    }
  }
}

void TestPrefix() {
  for (const Case& one : Cases()) {
    if (one.plain.size() < 2 || one.stored.empty()) continue;
    const auto stored =
        StoredBytes::InMemory(one.stored.data(), one.stored.size());
    Bytes out(one.plain.size() / 2);
    CHECK(Decode(Whole(stored, one.codec, one.stored), &out).ok());
    CHECK(std::equal(out.begin(), out.end(), one.plain.begin()));
    Bytes more(one.plain.size() + 1);
    const Status status = Decode(Whole(stored, one.codec, one.stored), &more);
    CHECK(status.code == Code::kOutputLength);
    CHECK_EQ(status.offset, one.stored.size());
  }
}

void TestWrongDigest() {
  for (const Case& one : Cases()) {
    if (one.stored.empty()) continue;
    Bytes damaged = one.stored;
    damaged[damaged.size() / 2] ^= 1;
    const TemporaryFile file(damaged);
    for (const auto& stored :
         {StoredBytes::InMemory(damaged.data(), damaged.size()),
          StoredBytes::InFile(file.fd(), 0, damaged.size())}) {
      VerifiedSpan span = Whole(stored, one.codec, one.stored);
      Bytes out(one.plain.size());
      CHECK(Decode(span, &out).code == Code::kDigest);
      CHECK(Untouched(out));
      span.digest_offset = damaged.size() + 1;
      CHECK(Decode(span, &out).code == Code::kMisuse);
      CHECK(Untouched(out));
    }
  }
  // What lies before the digest's offset is not covered by it.
  const Bytes data = SampleData(5000, 1);
  Bytes gzip = Gzip(data);
  const VerifiedSpan span =
      Whole(StoredBytes::InMemory(gzip.data(), gzip.size()), SpanCodec::kGzip,
            gzip, 10);
  gzip[9] ^= 0xff;  // the operating system
  Bytes out(data.size());
  CHECK(Decode(span, &out).ok());
  CHECK(out == data);
  VerifiedSpan unchecked = span;
  unchecked.checked = false;
  unchecked.digest[0] ^= 1;
  CHECK(Decode(unchecked, &out).ok());
}

void TestFileErrors() {
  const Bytes data = SampleData(100000, 2);
  const TemporaryFile file(data, 50);
  for (const size_t missing : {size_t{1}, size_t{100}, size_t{200000}}) {
    const auto stored =
        StoredBytes::InFile(file.fd(), 50 + missing, data.size());
    Bytes out(data.size());
    const Status status = Decode(Whole(stored, SpanCodec::kRaw, data), &out);
    CHECK(status.code == Code::kInputShort);
    CHECK_EQ(status.offset, missing > data.size() ? 0 : data.size() - missing);
    CHECK(Untouched(out));
  }
  const auto closed = StoredBytes::InFile(-1, 0, 10);
  Bytes out(10);
  const Status status = Decode(Whole(closed, SpanCodec::kRaw, data), &out);
  CHECK(status.code == Code::kInputRead);
  CHECK_EQ(status.system_error, EBADF);
  CHECK(Untouched(out));
}

FileIdentity IdentityOf(const TemporaryFile& file) {
  struct stat now;
  CHECK_EQ(fstat(file.fd(), &now), 0);
#ifdef __APPLE__
  const timespec& modified = now.st_mtimespec;
#else
  const timespec& modified = now.st_mtim;
#endif
  FileIdentity identity;
  identity.size = static_cast<uint64_t>(now.st_size);
  identity.inode = now.st_ino;
  identity.modified_ns =
      int64_t{modified.tv_sec} * 1000000000 + modified.tv_nsec;
  return identity;
}

void TestChangedFile() {
  const Bytes data = SampleData(600000, 4);
  const TemporaryFile file(data);
  const FileIdentity was = IdentityOf(file);
  Bytes out(data.size());
  const auto read = [&](const FileIdentity& identity, size_t size) {
    std::fill(out.begin(), out.end(), uint8_t{0xa5});
    const auto stored = StoredBytes::InFile(file.fd(), 0, size, identity);
    return Decode(Whole(stored, SpanCodec::kRaw, data), &out);
  };
  CHECK(read(was, data.size()).ok());
  CHECK(out == data);
  FileIdentity touched = was;
  touched.modified_ns.reset();
  CHECK(read(touched, data.size()).ok());
  for (int what = 0; what < 3; what++) {
    FileIdentity other = was;
    if (what == 0) other.size++;
    if (what == 1) other.inode++;
    if (what == 2) (*other.modified_ns)--;
    const Status status = read(other, data.size());
    CHECK(status.code == Code::kInputChanged);
    CHECK_EQ(status.offset, data.size());
    CHECK(Untouched(out));
  }
  // Short as it always was, and short because it was cut.
  CHECK(read(was, data.size() + 1).code == Code::kInputShort);
  CHECK_EQ(ftruncate(file.fd(), 300000), 0);
  for (const FileIdentity& identity : {was, touched}) {
    const Status status = read(identity, data.size());
    CHECK(status.code == Code::kInputChanged);
    CHECK_EQ(status.offset, 300000u);
    CHECK(Untouched(out));
  }
}

void TestAbort() {
  const Bytes data = SampleData(1000, 3);
  const Bytes gzip = Gzip(data);
  const TemporaryFile file(gzip);
  const std::atomic<bool> abort{true};
  Bytes room(gzip.size());
  Bytes out(data.size(), 0xa5);
  for (const auto& stored : {StoredBytes::InMemory(gzip.data(), gzip.size()),
                             StoredBytes::InFile(file.fd(), 0, gzip.size())}) {
    VerifiedSpan span = Whole(stored, SpanCodec::kGzip, gzip);
    for (const bool checked : {true, false}) {
      span.checked = checked;
      CHECK(span.Decode(room.data(), out.data(), out.size(), &abort).code ==
            Code::kAborted);
    }
  }
  CHECK(Untouched(out));
}

// Each of two gets what it would get alone: of either codec, from memory or a
// file, right or wrong in any way.
void TestPairs() {
  const Bytes data = SampleData(150000, 21);
  const Bytes other = SampleData(400000, 22);
  const Bytes gzip = Gzip(data);
  const Bytes longer = Gzip(other);
  const TemporaryFile file(longer);
  const auto stored = StoredBytes::InMemory(gzip.data(), gzip.size());
  std::vector<VerifiedSpan> spans = {
      Whole(stored, SpanCodec::kGzip, gzip),
      Whole(StoredBytes::InFile(file.fd(), 0, longer.size()), SpanCodec::kGzip,
            longer),
      Whole(StoredBytes::InMemory(data.data(), data.size()), SpanCodec::kRaw,
            data),
      Whole(StoredBytes::InFile(file.fd(), 1, longer.size()), SpanCodec::kGzip,
            longer)};
  VerifiedSpan wrong = spans[0];
  wrong.digest[31] ^= 1;
  VerifiedSpan unchecked = wrong;
  unchecked.checked = false;
  VerifiedSpan outside = spans[0];
  outside.digest_offset = gzip.size() + 1;
  spans.insert(spans.end(), {wrong, unchecked, outside});
  const std::atomic<bool> raised{true};
  for (const VerifiedSpan& a : spans) {
    for (const VerifiedSpan& b : spans) {
      for (const bool abort : {false, true}) {
        Bytes out_a(data.size()), out_b(data.size() + 1);
        Bytes room_a(a.stored.room()), room_b(b.stored.room());
        Bytes alone_a(out_a.size()), alone_b(out_b.size());
        const std::atomic<bool>* const flag = abort ? &raised : nullptr;
        VerifiedSpan::Call one = {&a,           room_a.data(), out_a.data(),
                                  out_a.size(), flag,          {}};
        VerifiedSpan::Call two = {&b,           room_b.data(), out_b.data(),
                                  out_b.size(), nullptr,       {}};
        VerifiedSpan::DecodePair(&one, &two);
        const Status first =
            a.Decode(room_a.data(), alone_a.data(), alone_a.size(), flag);
        const Status second =
            b.Decode(room_b.data(), alone_b.data(), alone_b.size(), nullptr);
        CHECK(one.status.code == first.code);
        CHECK_EQ(one.status.offset, first.offset);
        CHECK(two.status.code == second.code);
        CHECK_EQ(two.status.offset, second.offset);
        if (first.ok()) CHECK(out_a == alone_a);
        if (second.ok()) CHECK(out_b == alone_b);
      }
    }
  }
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  TestBothInputs();
  TestPrefix();
  TestWrongDigest();
  TestFileErrors();
  TestChangedFile();
  TestAbort();
  TestPairs();
  return Report("verified_span");
}
