// Gzip layers made in the tests by zlib's own deflate, in the ways in which
// other writers differ: header fields, flushes, stored blocks, many members.
#pragma once

#include <zlib.h>

#include <cstring>

#include "check.h"

namespace soci::test {

// Half text-like, half noise, so that blocks of all types appear.
inline Bytes SampleData(size_t len, uint64_t seed) {
  Random random(seed);
  Bytes data;
  data.reserve(len + 400);
  while (data.size() < len) {
    const size_t run = 1 + random.Below(300);
    const size_t kind = random.Below(3);
    const size_t back = data.size() < 2 ? 0 : 1 + random.Below(data.size() - 1);
    for (size_t i = 0; i < run; i++) {
      if (kind == 0) {
        data.push_back(static_cast<uint8_t>(random.Next()));
      } else if (kind == 1 && back > 0) {
        data.push_back(data[data.size() - back]);
      } else {
        data.push_back(static_cast<uint8_t>('a' + random.Below(6)));
      }
    }
  }
  data.resize(len);
  return data;
}

struct GzipShape {
  int level = 6;
  int strategy = Z_DEFAULT_STRATEGY;
  size_t flush_every = 0;  // 0: never; else Z_SYNC_FLUSH after so many bytes
  bool all_fields = false;
};

inline Bytes Gzip(const Bytes& data, const GzipShape& shape = {}) {
  z_stream stream = {};
  if (deflateInit2(&stream, shape.level, Z_DEFLATED, 31, 8, shape.strategy) !=
      Z_OK) {
    std::abort();
  }
  uint8_t extra[] = {'S', 'O', 2, 0, 1, 2};
  uint8_t name[] = "layer.tar";
  uint8_t comment[] = "every field that RFC 1952 has";
  gz_header header = {};
  header.extra = extra;
  header.extra_len = sizeof extra;
  header.name = name;
  header.comment = comment;
  header.hcrc = 1;
  if (shape.all_fields) deflateSetHeader(&stream, &header);
  Bytes out(deflateBound(&stream, static_cast<uLong>(data.size())) +
            data.size() / 8 + 1024);
  if (shape.flush_every > 0) {
    out.resize(out.size() + data.size() / shape.flush_every * 8);
  }
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  size_t at = 0;
  int code = Z_OK;
  do {
    size_t piece = data.size() - at;
    if (shape.flush_every > 0) piece = std::min(piece, shape.flush_every);
    stream.next_in = const_cast<uint8_t*>(data.data()) + at;
    stream.avail_in = static_cast<uInt>(piece);
    at += piece;
    code = deflate(&stream, at == data.size() ? Z_FINISH : Z_SYNC_FLUSH);
  } while (code == Z_OK && at < data.size());
  if (code != Z_STREAM_END) std::abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline void Append(Bytes* to, const Bytes& bytes) {
  to->insert(to->end(), bytes.begin(), bytes.end());
}

}  // namespace soci::test
