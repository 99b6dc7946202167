#include <zlib.h>

#include "engines.h"

namespace bench {

bool ZlibWhole(const Stream& stream, uint8_t* out) {
  z_stream z = {};
  inflateInit2(&z, -MAX_WBITS);
  z.next_in = const_cast<uint8_t*>(stream.deflate.data());
  z.avail_in = static_cast<uInt>(stream.deflate.size());
  z.next_out = out;
  z.avail_out = static_cast<uInt>(stream.decoded.size());
  const int code = inflate(&z, Z_FINISH);
  inflateEnd(&z);
  return code == Z_STREAM_END;
}

bool ZlibSpan(const Stream& stream, const Span& span, uint8_t* out) {
  z_stream z = {};
  inflateInit2(&z, -MAX_WBITS);
  if (span.bits > 0)
    inflatePrime(&z, span.bits, stream.deflate[span.in - 1] >> (8 - span.bits));
  if (!span.window.empty()) inflateSetDictionary(&z, span.window.data(), 32768);
  z.next_in = const_cast<uint8_t*>(stream.deflate.data()) + span.in;
  z.avail_in = static_cast<uInt>(span.in_end - span.in);
  z.next_out = out;
  z.avail_out = static_cast<uInt>(span.out_end - span.out);
  inflate(&z, Z_SYNC_FLUSH);
  inflateEnd(&z);
  return z.avail_out == 0;
}

}  // namespace bench
