// How the store asks for room without knowing who evicts. The cache owns the need, eviction owns
// the answer; main.cpp joins the two, so that the arrow between the rooms keeps pointing down.
#pragma once

#include <cstddef>

namespace kvcache {

class room_maker {
public:
  virtual ~room_maker() = default;

  // Called by the thread whose PUT does not fit, outside all locks of the store. Makes about
  // `wanted_bytes` of room (or one entry fewer, when `entries_over` > 0) in a bounded number of
  // steps and never waits for another thread. Returns false when nothing could be made: the PUT is
  // then refused with put_outcome::no_room.
  virtual bool make_room(std::size_t wanted_bytes, std::size_t entries_over) noexcept = 0;
};

} // namespace kvcache
