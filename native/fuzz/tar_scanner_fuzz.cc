// A tar stream has the same records, end and faults in any chunking.
#include <vector>

#include "../core/bytes.h"
#include "../core/tar_scanner.h"
#include "fuzz_input.h"

namespace {

using namespace soci;

// Recomputes checksums, which a fuzzer cannot guess.
void FixChecksums(std::vector<uint8_t>* tar) {
  for (size_t at = 0; at + 512 <= tar->size(); at += 512) {
    uint8_t* block = tar->data() + at;
    if (block[148] != 'C') continue;
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < 512; i++) {
      if (i < 148 || i >= 156) sum += block[i];
    }
    for (size_t i = 0; i < 6; i++) {
      block[148 + i] = static_cast<uint8_t>('0' + (sum >> (15 - 3 * i)) % 8);
    }
    block[154] = 0;
    block[155] = ' ';
  }
}

void Drain(TarScanner* scanner, std::vector<uint8_t>* records) {
  GrowableBuffer fresh;
  scanner->TakeRecords(&fresh);
  if (fresh.size() > 0) {
    records->insert(records->end(), fresh.data(), fresh.data() + fresh.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
  fuzz::Input input(data, len);
  fuzz::Chunks chunks(&input);
  std::vector<uint8_t> tar(input.data(), input.data() + input.size());
  FixChecksums(&tar);

  TarScanner whole;
  std::vector<uint8_t> expected;
  fuzz::Require(whole.Write(tar.data(), tar.size()).ok());
  Drain(&whole, &expected);
  const Status end = whole.Finish();

  TarScanner scanner;
  std::vector<uint8_t> records;
  for (size_t at = 0; at < tar.size();) {
    const size_t chunk = chunks.Next(tar.size() - at);
    fuzz::Require(scanner.Write(tar.data() + at, chunk).ok());
    Drain(&scanner, &records);
    at += chunk;
  }
  const Status status = scanner.Finish();
  fuzz::Require(records == expected);
  fuzz::Require(status.code == end.code && status.offset == end.offset);
  fuzz::Require(scanner.end() == whole.end() && scanner.end() <= tar.size());

  // Records follow one another and are bytes of the stream.
  uint64_t next = 0;
  for (size_t at = 0; at < records.size();) {
    const uint64_t offset = LoadLe64(&records[at]);
    const size_t size = LoadLe32(&records[at + 8]);
    fuzz::Require(offset >= next && offset + size <= tar.size());
    fuzz::Require(
        std::equal(records.begin() + static_cast<long>(at + 12),
                   records.begin() + static_cast<long>(at + 12 + size),
                   tar.begin() + static_cast<long>(offset)));
    next = offset + size;
    at += 12 + size;
  }
  return 0;
}
