#include <libdeflate.h>

#include "engines.h"

namespace bench {

bool LibdeflateWhole(const Stream& stream, uint8_t* out) {
  libdeflate_decompressor* const d = libdeflate_alloc_decompressor();
  const libdeflate_result code = libdeflate_deflate_decompress(
      d, stream.deflate.data(), stream.deflate.size(), out,
      stream.decoded.size(), nullptr);
  libdeflate_free_decompressor(d);
  return code == LIBDEFLATE_SUCCESS;
}

}  // namespace bench
