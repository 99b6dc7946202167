// Tars made in the tests block by block, so that a header can be as wrong as a
// test needs it.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "check.h"

namespace soci::test {

inline void SetChecksum(uint8_t* block) {
  std::memset(block + 148, ' ', 8);
  unsigned sum = 0;
  for (int i = 0; i < 512; i++) sum += block[i];
  std::snprintf(reinterpret_cast<char*>(block + 148), 8, "%06o", sum % 262144);
}

inline void SetText(uint8_t* block, size_t at, const std::string& text) {
  std::copy(text.begin(), text.end(), block + at);
}

// `size` as the text of the size field.
inline Bytes TarHeaderBlock(char type, const std::string& name,
                            const std::string& size) {
  Bytes block(512);
  SetText(block.data(), 0, name);
  SetText(block.data(), 100, "0000644");
  SetText(block.data(), 124, size);
  block[156] = static_cast<uint8_t>(type);
  std::memcpy(&block[257], "ustar\00000", 8);
  SetChecksum(block.data());
  return block;
}

inline std::string Octal(size_t size) {
  char text[13];
  std::snprintf(text, sizeof text, "%011zo", size);
  return text;
}

class TarBuilder {
 public:
  // A header as it is; returns its offset.
  uint64_t Block(const Bytes& block) {
    bytes.insert(bytes.end(), block.begin(), block.end());
    return bytes.size() - block.size();
  }
  // A header and contents, padded.
  uint64_t Entry(char type, const std::string& name, const Bytes& contents) {
    const uint64_t at =
        Block(TarHeaderBlock(type, name, Octal(contents.size())));
    Contents(contents);
    return at;
  }
  uint64_t Extension(char type, const std::string& body) {
    return Entry(type, "extension", Bytes(body.begin(), body.end()));
  }
  void Contents(const Bytes& contents) {
    bytes.insert(bytes.end(), contents.begin(), contents.end());
    bytes.resize((bytes.size() + 511) / 512 * 512);
  }
  void End() { bytes.resize(bytes.size() + 1024); }

  Bytes bytes;
};

inline std::string PaxRecord(const std::string& key, const std::string& value) {
  const std::string text = " " + key + "=" + value + "\n";
  size_t len = text.size() + 1;
  while (std::to_string(len).size() + text.size() != len) len++;
  return std::to_string(len) + text;
}

}  // namespace soci::test
