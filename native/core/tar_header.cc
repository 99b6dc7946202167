#include "tar_header.h"

#include <algorithm>
#include <cstring>

#include "tar_number.h"

namespace soci {
namespace {

struct Field {
  size_t at;
  size_t len;
};

// POSIX ustar, and where the star and GNU variants differ from it.
constexpr Field kName = {0, 100};
constexpr Field kSize = {124, 12};
constexpr Field kChecksum = {148, 8};
constexpr size_t kType = 156;
constexpr Field kMagic = {257, 6};
constexpr Field kMagicAndVersion = {257, 8};
constexpr Field kUstarPrefix = {345, 155};
constexpr Field kStarPrefix = {345, 131};
constexpr Field kStarTrailer = {508, 4};
constexpr Field kGnuAccessTime = {345, 12};
constexpr Field kGnuChangeTime = {357, 12};

bool Holds(const uint8_t* block, const Field& field, const char* text) {
  return std::memcmp(block + field.at, text, field.len) == 0;
}

// Bytes before the first NUL.
size_t TextLength(const uint8_t* block, const Field& field) {
  const uint8_t* text = block + field.at;
  return static_cast<size_t>(std::find(text, text + field.len, 0) - text);
}

// Both sums that were ever in use: historic tars added up signed characters.
bool ChecksumMatches(const uint8_t* block) {
  int64_t stored = 0;
  if (!ParseTarOctal(block + kChecksum.at, kChecksum.len, &stored)) {
    return false;
  }
  int64_t sum = 0;
  int64_t signed_sum = 0;
  for (size_t i = 0; i < kTarBlockSize; i++) {
    const bool in_checksum =
        i >= kChecksum.at && i < kChecksum.at + kChecksum.len;
    const uint8_t byte = in_checksum ? uint8_t{' '} : block[i];
    sum += byte;
    signed_sum += static_cast<int8_t>(byte);
  }
  return stored == sum || stored == signed_sum;
}

bool IsGnuTime(const uint8_t* block, const Field& field) {
  int64_t time = 0;
  return block[field.at] == 0 ||
         ParseTarNumber(block + field.at, field.len, &time);
}

// A GNU header has times where ustar has the prefix. Go once wrote ustar
// prefixes under GNU magic, and its reader still takes them for such.
bool HasMisplacedPrefix(const uint8_t* block) {
  if (IsGnuTime(block, kGnuAccessTime) && IsGnuTime(block, kGnuChangeTime)) {
    return false;
  }
  const uint8_t* prefix = block + kUstarPrefix.at;
  return std::all_of(prefix, prefix + TextLength(block, kUstarPrefix),
                     [](uint8_t c) { return c < 0x80; });
}

bool HasPrefix(const uint8_t* block) {
  if (Holds(block, kMagic, "ustar\0")) {
    const bool star = Holds(block, kStarTrailer, "tar\0");
    return TextLength(block, star ? kStarPrefix : kUstarPrefix) > 0;
  }
  return Holds(block, kMagicAndVersion, "ustar  \0") &&
         HasMisplacedPrefix(block) && TextLength(block, kUstarPrefix) > 0;
}

}  // namespace

bool IsZeroBlock(const uint8_t* block) {
  return std::all_of(block, block + kTarBlockSize,
                     [](uint8_t byte) { return byte == 0; });
}

bool ParseTarHeader(const uint8_t* block, TarHeader* header) {
  if (!ChecksumMatches(block)) return false;
  if (!ParseTarNumber(block + kSize.at, kSize.len, &header->size)) return false;
  header->type = block[kType];
  const size_t name_len = TextLength(block, kName);
  // The name is prefix + '/' + name, so an empty one ends in that slash.
  header->name_end = name_len > 0       ? block[kName.at + name_len - 1]
                     : HasPrefix(block) ? uint8_t{'/'}
                                        : uint8_t{0};
  return true;
}

bool IsHeaderOnly(uint8_t type) {
  switch (type) {
    case '1':  // hard link
    case '2':  // symbolic link
    case '3':  // character device
    case '4':  // block device
    case '5':  // directory
    case '6':  // fifo
      return true;
    default:
      return false;
  }
}

}  // namespace soci
