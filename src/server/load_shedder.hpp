// The memory that a worker's connections hold, and the closing of those that make no use of it
// while it is short (load shedding).
//
// Counts the connections' buffers to the byte, and the kernel's as of the last reading: at each
// sweep, and whenever a certain part of the cap has been sent since. What peers leave unread in the
// kernel counts like what they leave unread here. Connections that hold more than themselves are
// listed, those with the most recent progress last.
//
// Thread-safety: none; all members run on the worker's thread, but for holder_count().
#pragma once

#include <boost/intrusive/list.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "metrics/worker_counters.hpp"
#include "server/buffer_budget.hpp"
#include "server/connection.hpp"
#include "server/sweep_clock.hpp"

namespace kvcache::http {

using connection_list = boost::intrusive::list<connection>;

class load_shedder {
public:
  load_shedder(buffer_budget& budget, const sweep_clock& clock,
               observe::worker_counters& counters) noexcept
      : budget_(budget), clock_(clock), counters_(counters) {}

  // Whether this much more may be held. Closes stalled peers that wait for nothing else than to be
  // read from, if that makes it so.
  bool may_hold(std::size_t more_bytes) noexcept;

  // Whether a connection without progress since then has stalled: it may be closed.
  bool has_stalled(std::uint64_t since_ms) const noexcept;

  // A change of the bytes in a buffer; of those in the kernel; bytes that the kernel has accepted.
  void change_held(std::size_t from_bytes, std::size_t to_bytes) noexcept;
  void change_held_by_kernel(std::size_t from_bytes, std::size_t to_bytes) noexcept;
  void note_sent(std::size_t bytes) noexcept { sent_bytes_ += bytes; }

  // The memory of values that responses pin although their entries are gone. A connection accounts
  // for its part at a reading, so its growth brings the next one closer.
  void note_detached(std::size_t bytes) noexcept {
    if (bytes > detached_bytes_) sent_bytes_ += bytes - detached_bytes_;
    detached_bytes_ = bytes;
  }

  void put_last(connection& c) noexcept;
  void remove(connection& c) noexcept;
  std::size_t holder_count() const noexcept {
    return holder_count_.load(std::memory_order_relaxed);
  }

  // Whether memory has been freed since the last call.
  void note_freed() noexcept { has_freed_ = true; }
  bool take_freed() noexcept { return std::exchange(has_freed_, false); }

  // Whether follow-up work is due: memory has been freed, or the kernel's memory must be read.
  bool is_due() const noexcept { return has_freed_ || reading_is_due(); }
  bool reading_is_due() const noexcept { return sent_bytes_ > read_after_bytes_; }

  // Reads the kernel's memory and closes connections while too much is held. `all`: also of
  // connections on which nothing seems to have happened. REQUIRES: none of them is being served.
  void read_kernel(connection_list& connections, bool all) noexcept;

  // Returns memory to the kernel if the connections hold much less than they did.
  void trim_heap() noexcept;

private:
  using holder_list = boost::intrusive::list<connection, boost::intrusive::base_hook<holder_hook>,
                                             boost::intrusive::constant_time_size<false>>;

  template <class Enough>
  void shed_stalled(bool at_rest, std::uint64_t time_ms, Enough enough) noexcept;
  void shed_until_out_of_danger() noexcept;

  buffer_budget& budget_;
  const sweep_clock& clock_;
  observe::worker_counters& counters_;
  holder_list holders_;
  std::atomic<std::size_t> holder_count_{0};
  std::size_t held_bytes_ = 0; // in this worker's buffers, not by the kernel
  std::size_t peak_held_bytes_ = 0;
  std::size_t sent_bytes_ = 0;       // since the last reading
  std::size_t detached_bytes_ = 0;   // when it was last noted
  std::size_t read_after_bytes_ = 0; // the next one is due when so much has been sent
  std::uint64_t last_reading_ms_ = 0;
  bool has_freed_ = false;
};

} // namespace kvcache::http
