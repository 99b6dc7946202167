#include "stream.h"

#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace bench {
namespace {

[[noreturn]] void Die(const std::string& path, const char* why) {
  std::fprintf(stderr, "%s: %s\n", path.c_str(), why);
  std::exit(1);
}

size_t HeaderLength(const std::string& path, const std::vector<uint8_t>& gz) {
  if (gz.size() < 18 || gz[0] != 0x1f || gz[1] != 0x8b) Die(path, "not gzip");
  size_t at = 10;
  const uint8_t flags = gz[3];
  if (flags & 4) at += 2u + gz[10] + gz[11] * 256u;
  for (const int name_or_comment : {8, 16})
    if (flags & name_or_comment)
      while (gz.at(at++) != 0) continue;
  if (flags & 2) at += 2;
  return at;
}

}  // namespace

Stream LoadStream(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<uint8_t> gz{std::istreambuf_iterator<char>(file),
                                std::istreambuf_iterator<char>()};
  const size_t header = HeaderLength(path, gz);
  Stream stream;
  stream.deflate.assign(gz.begin() + static_cast<ptrdiff_t>(header), gz.end());
  size_t size = 0;  // ISIZE, RFC 1952 §2.3.1
  for (size_t i = 4; i > 0; i--) size = size << 8 | gz[gz.size() - 5 + i];
  stream.decoded.resize(size);

  z_stream z = {};
  inflateInit2(&z, -MAX_WBITS);
  z.next_in = stream.deflate.data();
  z.avail_in = static_cast<uInt>(stream.deflate.size());
  z.next_out = stream.decoded.data();
  z.avail_out = static_cast<uInt>(size);
  if (inflate(&z, Z_FINISH) != Z_STREAM_END || z.avail_in != 8 ||
      z.total_out != size)
    Die(path, "not one intact gzip member");
  stream.deflate.resize(stream.deflate.size() - 8);
  inflateEnd(&z);
  return stream;
}

std::vector<Span> CutSpans(const Stream& stream, size_t size) {
  std::vector<uint8_t> out(stream.decoded.size());
  z_stream z = {};
  inflateInit2(&z, -MAX_WBITS);
  z.next_in = const_cast<uint8_t*>(stream.deflate.data());
  z.avail_in = static_cast<uInt>(stream.deflate.size());
  z.next_out = out.data();
  z.avail_out = static_cast<uInt>(out.size());
  std::vector<Span> spans(1);
  spans[0] = {0, 0, 0, 0, 0, {}};
  int code = Z_OK;
  while (code != Z_STREAM_END) {
    code = inflate(&z, Z_BLOCK);
    if (code < 0) std::abort();
    const bool last_block = (z.data_type & 64) != 0;
    const size_t at = z.total_out;
    if ((z.data_type & 128) == 0 || last_block) continue;
    if (at - spans.back().out < size) continue;
    spans.back().in_end = z.total_in;
    spans.back().out_end = at;
    Span next = {z.total_in,
                 0,
                 at,
                 0,
                 static_cast<uint8_t>(z.data_type & 7),
                 std::vector<uint8_t>(32768)};
    const size_t have = at < 32768 ? at : 32768;
    std::copy(out.begin() + static_cast<ptrdiff_t>(at - have),
              out.begin() + static_cast<ptrdiff_t>(at),
              next.window.end() - static_cast<ptrdiff_t>(have));
    spans.push_back(std::move(next));
  }
  spans.back().in_end = z.total_in;
  spans.back().out_end = z.total_out;
  inflateEnd(&z);
  return spans;
}

}  // namespace bench
