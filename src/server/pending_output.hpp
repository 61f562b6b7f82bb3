// Output that the kernel has not accepted yet: text, and behind it perhaps a large value, which is
// sent from where it is stored. And the progress of the peer that receives it.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <utility>

#include "api/large_body.hpp"
#include "http/output_buffer.hpp"

namespace kvcache::http {

class pending_output {
public:
  // Within the write timeout, a peer must take this much: one that reads a byte now and then does
  // not hold its responses forever. One segment of any network is more.
  static constexpr std::size_t least_taken_bytes = 512;

  // At most so much of a large value is sent at a time: other connections have their turn.
  static constexpr std::size_t piece_bytes = std::size_t{256} << 10;

  bool empty() const noexcept { return buffer_.empty() && !has_value(); }
  std::size_t capacity() const noexcept { return buffer_.capacity(); }
  output_buffer& buffer() noexcept { return buffer_; }

  // What is sent next; empty if nothing is left.
  std::string_view next() const noexcept {
    return buffer_.empty() ? value_piece() : buffer_.view().substr(sent_bytes_);
  }

  // The memory that is held for the peer only: a value in the cache costs nothing.
  std::size_t held_bytes() const noexcept {
    return capacity() + (has_value() ? value_.pin.detached_bytes() : 0);
  }

  // The value follows the text that is written now. REQUIRES: !has_value().
  void follow_with(large_body value) noexcept { value_ = std::move(value); }
  bool has_value() const noexcept { return static_cast<bool>(value_.pin); }
  std::size_t value_bytes() const noexcept { return value_.bytes.size(); } // not yet sent
  std::string_view value_piece() const noexcept { return value_.bytes.substr(0, piece_bytes); }
  void release_value() noexcept { value_ = {}; }

  // Keeps what follows the first `sent` bytes of `out` and the value. `out` is empty afterwards.
  // Cannot fail: a small rest is copied, a large one is moved with its buffer, which needs no
  // memory. REQUIRES: no text is kept.
  void keep(output_buffer& out, std::size_t sent) noexcept {
    taken_bytes_ = 0;
    sent_bytes_ = std::min(sent, out.size());
    value_.bytes.remove_prefix(sent - sent_bytes_);
    if (sent >= out.size()) {
      out.clear();
      return;
    }
    if (const std::string_view rest = out.view().substr(sent); rest.size() < out.capacity() / 2) {
      try {
        buffer_.append(rest);
        sent_bytes_ = 0;
      } catch (const std::bad_alloc&) {
      }
    }
    if (buffer_.empty()) buffer_.swap(out);
    out.clear();
  }

  // Of next(). True: that was all.
  bool note_sent(std::size_t bytes) noexcept {
    if (buffer_.empty()) {
      value_.bytes.remove_prefix(bytes);
    } else {
      sent_bytes_ += bytes;
      if (has_value() && sent_bytes_ == buffer_.size()) buffer_.release();
    }
    return next().empty();
  }
  void release() noexcept {
    buffer_.release();
    release_value();
  }

  // The kernel reports that it accepts more only when a good part of its queue has been
  // acknowledged, which a slow reader may need minutes for. Progress in between is measured here.
  void expect_from(std::uint32_t unacknowledged_bytes) noexcept {
    queued_bytes_ = unacknowledged_bytes;
  }

  // The bytes acknowledged since then, if that is enough to count; else 0, and small steps add up.
  std::size_t take_acknowledged(std::uint32_t unacknowledged_bytes) noexcept {
    const std::uint32_t taken = queued_bytes_ - std::min(unacknowledged_bytes, queued_bytes_);
    if (taken < least_taken_bytes) return 0;
    queued_bytes_ = unacknowledged_bytes;
    return taken;
  }

  // Adds to what the peer has taken. True: it makes good use of the memory held for it, since it
  // has taken a sixteenth of that since the last time.
  bool note_taken(std::size_t bytes) noexcept {
    constexpr std::size_t held_per_taken_byte = 16;
    taken_bytes_ += bytes;
    if (taken_bytes_ < held_bytes() / held_per_taken_byte) return false;
    taken_bytes_ = 0;
    return true;
  }

private:
  output_buffer buffer_;
  large_body value_;            // its rest
  std::size_t sent_bytes_ = 0;  // of the buffer
  std::size_t taken_bytes_ = 0; // see note_taken()
  std::uint32_t queued_bytes_ = 0;
};

} // namespace kvcache::http
