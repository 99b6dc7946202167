// Names and targets of a batch as the system wants them, with a zero behind;
// in the batch the next field follows at once.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace soci {

class TerminatedText {
 public:
  // What the system takes at most, the zero included: PATH_MAX of Linux.
  static constexpr size_t kCapacity = 4096;

  explicit TerminatedText(std::string_view text) : fits_(Fits(text)) {
    const size_t size = fits_ ? text.size() : 0;
    if (size > 0) std::memcpy(text_, text.data(), size);
    text_[size] = '\0';
  }
  TerminatedText(const TerminatedText&) = delete;
  TerminatedText& operator=(const TerminatedText&) = delete;

  static bool Fits(std::string_view text) { return text.size() < kCapacity; }

  // If not, the text is empty: ENAMETOOLONG.
  bool fits() const { return fits_; }
  const char* get() const { return text_; }

 private:
  bool fits_;
  char text_[kCapacity];
};

}  // namespace soci
