#include "tar_scanner.h"

#include <algorithm>

#include "bytes.h"
#include "pax_records.h"
#include "tar_number.h"

namespace soci {
namespace {

constexpr size_t kRecordHeaderSize = 12;  // uint64 offset, uint32 length

// GNU tar's sparse files (tar.h, oldgnu_header and sp_header): whether a block
// of the map follows, in the header and in such a block.
constexpr size_t kSparseHeaderExtended = 482;
constexpr size_t kSparseBlockExtended = 504;

// Contents are followed by zeros up to a whole block.
uint64_t PaddingOf(uint64_t contents) { return (0 - contents) % kTarBlockSize; }

}  // namespace

Status TarScanner::Write(const uint8_t* data, size_t len) {
  while (len > 0) {
    size_t taken = len;
    Status status;
    switch (state_) {
      case State::kHeader:
      case State::kZeroBlock:
      case State::kSparseMap:
        taken = TakeWhole(data, len, kTarBlockSize, &status);
        break;
      case State::kExtension:
        taken = TakeWhole(data, len, extension_size_, &status);
        break;
      case State::kContents:
      case State::kPadding:
        taken = static_cast<size_t>(std::min<uint64_t>(len, left_));
        position_ += taken;
        left_ -= taken;
        if (left_ > 0) break;
        if (state_ == State::kContents) {
          BeginPadding();
        } else {
          state_ = State::kHeader;
        }
        break;
      case State::kEnd:
      case State::kMalformed:
        position_ += len;
        break;
    }
    if (!status.ok()) return status;
    data += taken;
    len -= taken;
  }
  return Status::Ok();
}

Status TarScanner::Finish() {
  switch (state_) {
    case State::kMalformed:
      return Status::At(Code::kTarHeader, malformed_at_);
    case State::kHeader:
    case State::kZeroBlock:
      if (partial_.size() > 0) break;
      [[fallthrough]];
    case State::kPadding:
      end_ = position_;
      return Status::Ok();
    case State::kEnd:
      return Status::Ok();
    case State::kExtension:
    case State::kSparseMap:
    case State::kContents:
      break;
  }
  return Status::At(Code::kTarHeader, position_);
}

// Takes bytes until `size` of them are together, which a chunk that holds them
// all needs no copy for, and handles them as a whole.
size_t TarScanner::TakeWhole(const uint8_t* data, size_t len, size_t size,
                             Status* status) {
  const size_t taken = std::min(len, size - partial_.size());
  const uint8_t* whole = data;
  if (taken < size) {
    if (!partial_.Append(data, taken)) {
      *status = Status::At(Code::kNoMemory, position_);
      return taken;
    }
    whole = partial_.size() == size ? partial_.data() : nullptr;
  }
  position_ += taken;
  if (whole == nullptr) return taken;
  *status = state_ == State::kExtension ? HandleExtension(whole, size)
                                        : HandleBlock(whole);
  partial_.Clear();
  return taken;
}

Status TarScanner::HandleBlock(const uint8_t* block) {
  if (state_ == State::kSparseMap) return HandleSparseMap(block);
  const uint64_t offset = position_ - kTarBlockSize;
  if (IsZeroBlock(block)) {
    if (state_ == State::kZeroBlock) {
      state_ = State::kEnd;
      end_ = position_;
    } else {
      state_ = State::kZeroBlock;
    }
    return Status::Ok();
  }
  if (state_ == State::kZeroBlock) {
    // A lone zero block between headers. Recorded, since it is what is wrong.
    static constexpr uint8_t kZeros[kTarBlockSize] = {};
    Malformed(offset - kTarBlockSize);
    return Record(offset - kTarBlockSize, kZeros, kTarBlockSize);
  }
  TarHeader header;
  const bool is_header = ParseTarHeader(block, &header);
  if (is_header) {
    HandleHeader(header, offset);
    if (header.type == 'S' && block[kSparseHeaderExtended] == 1 &&
        state_ != State::kMalformed) {
      state_ = State::kSparseMap;
    }
  } else {
    Malformed(offset);
  }
  const Status status = Record(offset, block, kTarBlockSize);
  if (!status.ok() || state_ != State::kExtension || extension_size_ > 0) {
    return status;
  }
  return HandleExtension(block, 0);
}

void TarScanner::HandleHeader(const TarHeader& header, uint64_t offset) {
  switch (header.type) {
    case 'x':
    case 'g':
    case 'L':
    case 'K':
      // Their own size is never that of a PAX record.
      if (header.size < 0 || header.size > kMaxExtensionSize) {
        Malformed(offset);
        return;
      }
      state_ = State::kExtension;
      extension_type_ = header.type;
      extension_size_ = static_cast<size_t>(header.size);
      return;
    default:
      break;
  }
  const int64_t size = extensions_.has_size ? extensions_.size : header.size;
  const uint8_t name_end =
      extensions_.long_name_end != 0  ? extensions_.long_name_end
      : extensions_.pax_name_end != 0 ? extensions_.pax_name_end
                                      : header.name_end;
  // Before POSIX, a directory was a file whose name ends in a slash.
  const bool header_only =
      IsHeaderOnly(header.type) || (header.type == 0 && name_end == '/');
  // Go sets up the contents once with the header's own size, then with PAX's.
  const bool own_size_bad = header.size < 0 && !IsHeaderOnly(header.type);
  if (extensions_.bad_size || own_size_bad || (size < 0 && !header_only)) {
    Malformed(offset);
    return;
  }
  extensions_ = Extensions();
  sparse_contents_ = header_only ? 0 : static_cast<uint64_t>(size);
  StepOver(sparse_contents_);
}

Status TarScanner::HandleSparseMap(const uint8_t* block) {
  if (block[kSparseBlockExtended] != 1) StepOver(sparse_contents_);
  return Record(position_ - kTarBlockSize, block, kTarBlockSize);
}

Status TarScanner::HandleExtension(const uint8_t* body, size_t len) {
  const uint64_t offset = position_ - len;
  if (!ApplyExtension(body, len)) {
    Malformed(offset);
  } else {
    padding_ = PaddingOf(len);
    BeginPadding();
  }
  return Record(offset, body, len);
}

// False if the body is malformed.
bool TarScanner::ApplyExtension(const uint8_t* body, size_t len) {
  switch (extension_type_) {
    case 'L': {
      const uint8_t* end = std::find(body, body + len, 0);
      extensions_.long_name_end = end == body ? uint8_t{0} : end[-1];
      return true;
    }
    case 'x':
      return ApplyPax(body, len);
    case 'g': {
      // An entry of its own for Go's reader, so what came before it is gone.
      const bool ok = ApplyPax(body, len) && !extensions_.bad_size;
      extensions_ = Extensions();
      return ok;
    }
    default:
      return true;
  }
}

bool TarScanner::ApplyPax(const uint8_t* body, size_t len) {
  const uint8_t long_name_end = extensions_.long_name_end;
  extensions_ = Extensions();
  extensions_.long_name_end = long_name_end;
  PaxRecords records(body, len);
  PaxRecords::Record record;
  // The last record of a key counts; an empty value leaves the header's own.
  while (records.Next(&record)) {
    if (record.Is("size")) {
      extensions_.has_size = record.value_len > 0;
      extensions_.bad_size =
          extensions_.has_size &&
          !ParsePaxNumber(record.value, record.value_len, &extensions_.size);
    } else if (record.Is("path")) {
      extensions_.pax_name_end = record.value_len > 0
                                     ? record.value[record.value_len - 1]
                                     : uint8_t{0};
    }
  }
  return records.ok();
}

void TarScanner::Malformed(uint64_t offset) {
  state_ = State::kMalformed;
  malformed_at_ = offset;
}

void TarScanner::StepOver(uint64_t contents) {
  state_ = State::kContents;
  left_ = contents;
  padding_ = PaddingOf(contents);
  if (left_ == 0) BeginPadding();
}

void TarScanner::BeginPadding() {
  state_ = padding_ > 0 ? State::kPadding : State::kHeader;
  left_ = padding_;
}

Status TarScanner::Record(uint64_t offset, const uint8_t* bytes, size_t len) {
  uint8_t* room = records_.Extend(kRecordHeaderSize + len);
  if (room == nullptr) return Status::At(Code::kNoMemory, position_);
  StoreLe64(room, offset);
  StoreLe32(room + 8, static_cast<uint32_t>(len));
  std::copy_n(bytes, len, room + kRecordHeaderSize);
  return Status::Ok();
}

}  // namespace soci
