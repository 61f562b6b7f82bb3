// Output that the kernel has not accepted yet, and the progress of the peer that receives it.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>

#include "http/output_buffer.hpp"

namespace kvcache::http {

class pending_output {
public:
  // Within the write timeout, a peer must take this much: one that reads a byte now and then does
  // not hold its responses forever. One segment of any network is more.
  static constexpr std::size_t least_taken_bytes = 512;

  bool empty() const noexcept { return buffer_.empty(); }
  std::size_t capacity() const noexcept { return buffer_.capacity(); }
  std::string_view rest() const noexcept { return buffer_.view().substr(sent_bytes_); }
  output_buffer& buffer() noexcept { return buffer_; }

  // Keeps what follows the first `sent` bytes of `out`, which is empty afterwards. Cannot fail:
  // a small rest is copied, a large one is moved with its buffer, which needs no memory.
  // REQUIRES: empty().
  void keep(output_buffer& out, std::size_t sent) noexcept {
    taken_bytes_ = 0;
    sent_bytes_ = sent;
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

  void note_sent(std::size_t bytes) noexcept { sent_bytes_ += bytes; }
  void release() noexcept { buffer_.release(); }

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
    if (taken_bytes_ < capacity() / held_per_taken_byte) return false;
    taken_bytes_ = 0;
    return true;
  }

private:
  output_buffer buffer_;
  std::size_t sent_bytes_ = 0;  // of the buffer
  std::size_t taken_bytes_ = 0; // see note_taken()
  std::uint32_t queued_bytes_ = 0;
};

} // namespace kvcache::http
