// The body of a request that is received straight into the memory of the entry it becomes. What has
// to be known of the value, its tag and whether it is UTF-8, is found out while it arrives.
//
// Thread-safety: none; a connection owns it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "api/entity_tagger.hpp"
#include "kvcache/value_upload.hpp"

namespace kvcache::http {

class body_upload {
public:
  // Throws std::bad_alloc.
  body_upload(value_upload to, const entity_tagger& tagger) : to_(std::move(to)), tags_(tagger) {}

  std::span<char> free_space() noexcept { return to_.free_space(); }
  void expect(std::size_t bytes) noexcept { to_.expect(bytes); }
  void commit(std::size_t bytes) noexcept; // they have been written to free_space()

  std::size_t received_bytes() const noexcept { return to_.written().size(); }
  std::size_t resident_bytes() const noexcept { return to_.resident_bytes(); }

  // Once the body is complete.
  std::uint64_t tag(std::string_view type) const noexcept { return tags_.tag(type); }
  bool is_utf8() const noexcept { return checked_bytes_ == received_bytes(); }
  value_upload& value() noexcept { return to_; }

private:
  value_upload to_;
  tag_stream tags_;
  std::size_t checked_bytes_ = 0; // whole characters, from the start
  bool may_be_utf8_ = true;
};

} // namespace kvcache::http
