#include "server/turn_queue.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>

#include <new>

namespace kvcache::http {

void turn_queue::push_back(connection& c) noexcept {
  waiting_.push_back(c);
  schedule();
}

void turn_queue::schedule() noexcept {
  if (scheduled_ || waiting_.empty()) return;
  try {
    boost::asio::post(context_, boost::asio::bind_allocator(handler_allocator<void>(memory_),
                                                            [this] { take_turn(); }));
    scheduled_ = true;
  } catch (const std::bad_alloc&) {
  }
}

void turn_queue::take_turn() noexcept {
  scheduled_ = false;
  if (waiting_.empty()) return; // closed meanwhile
  connection& first = waiting_.front();
  waiting_.pop_front();
  first.take_turn();
  schedule();
}

} // namespace kvcache::http
