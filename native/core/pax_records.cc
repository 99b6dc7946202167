#include "pax_records.h"

#include <cstring>

#include "tar_number.h"

namespace soci {
namespace {

const uint8_t* Find(const uint8_t* bytes, size_t len, char c) {
  if (len == 0) return nullptr;
  return static_cast<const uint8_t*>(std::memchr(bytes, c, len));
}

// "5 a=\n" has no value, "3 =\n" no key: nothing shorter is a record.
constexpr int64_t kShortestRecord = 5;

}  // namespace

bool PaxRecords::Record::Is(const char* name) const {
  return std::strlen(name) == key_len && std::memcmp(name, key, key_len) == 0;
}

bool PaxRecords::Bad() {
  ok_ = false;
  left_ = 0;
  return false;
}

bool PaxRecords::Next(Record* record) {
  if (left_ == 0) return false;
  const uint8_t* space = Find(body_, left_, ' ');
  if (space == nullptr) return Bad();
  const size_t digits = static_cast<size_t>(space - body_);
  int64_t length = 0;
  if (!ParsePaxNumber(body_, digits, &length) || length < kShortestRecord ||
      static_cast<uint64_t>(length) > left_ ||
      static_cast<uint64_t>(length) <= digits + 1) {
    return Bad();
  }
  const size_t size = static_cast<size_t>(length);
  if (body_[size - 1] != '\n') return Bad();
  const uint8_t* key = space + 1;
  const size_t text_len = size - digits - 2;  // "key=value"
  const uint8_t* equals = Find(key, text_len, '=');
  if (equals == nullptr || equals == key) return Bad();
  record->key = key;
  record->key_len = static_cast<size_t>(equals - key);
  record->value = equals + 1;
  record->value_len = text_len - record->key_len - 1;

  // Names are C strings in the header they replace; other values may hold NUL.
  const bool is_name = record->Is("path") || record->Is("linkpath") ||
                       record->Is("uname") || record->Is("gname");
  const bool has_nul =
      is_name ? Find(record->value, record->value_len, '\0') != nullptr
              : Find(record->key, record->key_len, '\0') != nullptr;
  if (has_nul) return Bad();
  body_ += size;
  left_ -= size;
  return true;
}

}  // namespace soci
