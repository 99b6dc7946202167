// Where the blocks of a gzip layer begin, told by zlib; and whether a block may
// be found by its bytes.
#pragma once

#include "../core/block_header.h"
#include "gzip_data.h"

namespace soci::test {

struct BlockAt {
  uint64_t bit;  // of the layer
  uint64_t out;
  BlockPrefix prefix;
};

// All blocks of all members up to the first fault.
inline std::vector<BlockAt> BlockStarts(const Bytes& gzip, Bytes* output) {
  std::vector<BlockAt> blocks;
  z_stream stream = {};
  if (inflateInit2(&stream, 47) != Z_OK) std::abort();
  stream.next_in = const_cast<uint8_t*>(gzip.data());
  stream.avail_in = static_cast<uInt>(gzip.size());
  for (;;) {
    uint8_t piece[4096];
    stream.next_out = piece;
    stream.avail_out = sizeof piece;
    const int code = inflate(&stream, Z_BLOCK);
    output->insert(output->end(), piece, stream.next_out);
    if (code == Z_STREAM_END) {
      if (stream.avail_in == 0) break;
      inflateReset2(&stream, 47);
      continue;
    }
    if (code != Z_OK) break;
    if ((stream.data_type & 128) == 0 || (stream.data_type & 64) != 0) continue;
    BlockAt block = {};
    block.bit = (gzip.size() - stream.avail_in) * 8 -
                static_cast<unsigned>(stream.data_type & 7);
    block.out = output->size();
    BitReader bits(gzip.data(), gzip.size(), block.bit);
    block.prefix = ReadBlockPrefix(&bits);
    blocks.push_back(block);
  }
  inflateEnd(&stream);
  return blocks;
}

}  // namespace soci::test
