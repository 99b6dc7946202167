// A zinfo blob that parses serialises to the same bytes, and holds what the
// decoder relies on.
#include <vector>

#include "../core/checkpoint.h"
#include "../test/unwritten.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
  using namespace soci;
  // Blobs are 32 KiB per checkpoint: three bytes of input stand for a window,
  // so that the fuzzer works on the numbers.
  fuzz::Input input(data, len);
  std::vector<uint8_t> blob;
  while (input.size() > 0) {
    const uint8_t op = input.Byte();
    if (op == 0xff) {
      blob.insert(blob.end(), kWindowSize, input.Byte());
    } else {
      blob.push_back(op == 0xfe ? 0xff : op);
    }
    if (blob.size() > 40 * CheckpointList::kRecordSize) return 0;
  }
  CheckpointList list;
  CheckpointList::Version version = CheckpointList::Version::kV2;
  if (!list.Parse(blob.data(), blob.size(), &version).ok()) {
    fuzz::Require(list.size() == 0);
    return 0;
  }
  fuzz::Require(list.size() > 0);
  for (size_t i = 0; i < list.size(); i++) {
    fuzz::Require(list[i].bits <= 7 && list[i].in > 0);
    fuzz::Require(i == 0 || (list[i].in > list[i - 1].in &&
                             list[i].out >= list[i - 1].out));
  }
  fuzz::Require(version == CheckpointList::Version::kV2 || list.FitsV1());
  std::vector<uint8_t> again(list.BlobSize(version));
  test::MarkUnwritten(again.data(), again.size());
  list.Serialize(version, again.data());
  fuzz::Require(again == blob);
  return 0;
}
