#include "snapshot/block_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "snapshot/crc32c.hpp"

namespace kvcache::snapshot {

namespace {

constexpr std::size_t buffer_bytes = 2 * block_bytes_most;

} // namespace

block_reader::block_reader(byte_source& from)
    : from_(from), buffer_(std::make_unique_for_overwrite<char[]>(buffer_bytes)) {}

// Has so many bytes buffered, or all that are left: false then.
bool block_reader::fill(std::size_t bytes) noexcept {
  if (end_ - begin_ >= bytes) return true;
  std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  while (end_ < bytes && !at_end_) {
    const ssize_t count = from_.read(buffer_.get() + end_, buffer_bytes - end_);
    if (count == -EINTR) continue;
    if (count < 0) error_ = static_cast<int>(-count);
    if (count <= 0) at_end_ = true;
    if (count > 0) {
      end_ += static_cast<std::size_t>(count);
      bytes_read_ += static_cast<std::uint64_t>(count);
    }
  }
  return end_ >= bytes;
}

decoded_header block_reader::read_header() noexcept {
  fill(file_header_bytes);
  const decoded_header read = decode_file_header(buffered().substr(0, file_header_bytes));
  if (read.fault == header_fault::none) {
    sync_ = read.header.sync;
    begin_ += file_header_bytes;
  }
  return read;
}

std::optional<block_reader::block> block_reader::next(std::vector<char>& payload) {
  for (bool is_in_step = true;; is_in_step = false) {
    if (!is_in_step) {
      ++skipped_;
      if (!find_sync()) return std::nullopt;
    }
    // A damaged payload is skipped as its header says.
    while (const auto header = peek_header()) {
      if (!fill(block_header_bytes + header->payload_bytes)) break; // the rest is missing
      const std::string_view found = buffered().substr(block_header_bytes, header->payload_bytes);
      begin_ += block_header_bytes + found.size();
      if (crc32c(found) == header->payload_crc) {
        payload.assign(found.begin(), found.end());
        return block{header->kind, header->number};
      }
      ++skipped_;
    }
    if (begin_ == end_) return std::nullopt;
    ++begin_; // no block begins here
  }
}

std::optional<block_header> block_reader::peek_header() noexcept {
  if (!fill(block_header_bytes)) return std::nullopt;
  return decode_block_header(buffered().substr(0, block_header_bytes), sync_);
}

// Goes on to the next place where a block may begin; false if there is none.
bool block_reader::find_sync() noexcept {
  const auto mark = sync_bytes(sync_);
  while (fill(mark.size())) {
    const std::size_t at = buffered().find({mark.data(), mark.size()});
    if (at != std::string_view::npos) {
      begin_ += at;
      return true;
    }
    begin_ = end_ - (mark.size() - 1);
  }
  begin_ = end_;
  return false;
}

} // namespace kvcache::snapshot
