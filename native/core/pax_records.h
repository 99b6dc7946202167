// The body of a PAX extended header (POSIX pax, "%d %s=%s\n" records), walked
// record by record with the checks of Go's archive/tar.
#pragma once

#include <cstddef>
#include <cstdint>

namespace soci {

class PaxRecords {
 public:
  // Borrows the body.
  PaxRecords(const uint8_t* body, size_t len) : body_(body), left_(len) {}

  struct Record {
    const uint8_t* key;
    size_t key_len;
    const uint8_t* value;
    size_t value_len;

    bool Is(const char* name) const;
  };

  // False at the end and at a record that is none; ok() tells which.
  bool Next(Record* record);
  bool ok() const { return ok_; }

 private:
  bool Bad();

  const uint8_t* body_;
  size_t left_;
  bool ok_ = true;
};

}  // namespace soci
