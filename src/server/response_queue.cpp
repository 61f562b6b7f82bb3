#include "server/response_queue.hpp"

#include <boost/asio/bind_allocator.hpp>

#include <algorithm>
#include <new>

namespace kvcache::http {
namespace {

constexpr std::chrono::milliseconds retry_interval{2};

// A response is refused so long after the last one that was admitted; and so long after it began to
// wait, whatever others are admitted.
constexpr std::uint64_t room_wait_ms = 500;
constexpr std::uint64_t room_wait_most_ms = 5000;

} // namespace

room_grant response_queue::admit(std::size_t bytes, bool first_in_line) noexcept {
  if (!first_in_line && !for_room_.empty()) return room_grant::none;
  // What the kernel does not accept at once is sent later; meanwhile its buffers may be full.
  const bool fits = bytes <= options_.send_buffer_bytes;
  const std::size_t kernel_bytes =
      fits ? 0 : 2 * (options_.send_buffer_bytes + options_.receive_buffer_bytes);
  if (shedder_.may_hold(bytes + kernel_bytes)) return room_grant::room;
  return budget_.take_spare(bytes) ? room_grant::spare : room_grant::none;
}

void response_queue::give_spare_back() noexcept {
  budget_.give_spare_back();
  shedder_.note_freed();
}

void response_queue::wait_for_room(connection& c) noexcept {
  clock_.read();
  for_room_.push_back(c);
  announce();
  schedule();
}

void response_queue::wait_for_peer(connection& c) noexcept {
  for_peer_.push_back(c);
  schedule();
}

bool response_queue::has_waited_too_long(std::uint64_t since_ms) const noexcept {
  return clock_.now_ms() >= std::max(since_ms, budget_.last_admission_ms()) + room_wait_ms ||
         clock_.now_ms() >= since_ms + room_wait_most_ms;
}

void response_queue::prepare() {
  if (!scheduled_) set_timer();
}

void response_queue::retry_if_unscheduled() noexcept {
  if (!scheduled_) retry();
}

void response_queue::on_freed() noexcept {
  if (budget_.waiting_workers() <= int{announced_}) retry_responses();
}

// Without memory for the timer, the next sweep retries.
void response_queue::schedule() noexcept {
  if (scheduled_) return;
  try {
    set_timer();
  } catch (const std::bad_alloc&) {
  }
}

void response_queue::set_timer() {
  timer_.expires_after(retry_interval);
  timer_.async_wait(boost::asio::bind_allocator(handler_allocator<void>(timer_memory_),
                                                [this](const boost::system::error_code& error) {
                                                  scheduled_ = false;
                                                  if (!error) retry();
                                                }));
  scheduled_ = true;
}

void response_queue::retry() noexcept {
  if (for_room_.empty() && for_peer_.empty() && !announced_) return;
  clock_.read();
  retry_peers();
  retry_responses();
  schedule();
}

// First come, first served: otherwise a large response would wait until nobody asks for a small
// one.
void response_queue::retry_responses() noexcept {
  while (!for_room_.empty()) {
    const retried result = for_room_.front().retry_response();
    if (result == retried::waits) return;
    if (result == retried::admitted) budget_.note_admission(clock_.now_ms());
  }
  announce();
}

void response_queue::retry_peers() noexcept {
  waiter_list now; // those that have to wait once more are appended to the other list
  now.swap(for_peer_);
  while (!now.empty()) {
    connection& first = now.front();
    now.pop_front();
    first.retry_peer();
  }
}

void response_queue::announce() noexcept {
  const bool waits = !for_room_.empty();
  if (waits == announced_) return;
  announced_ = waits;
  budget_.change_waiting_workers(waits ? 1 : -1);
}

} // namespace kvcache::http
