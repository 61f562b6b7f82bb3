#include "server/ready_set.hpp"

#include <sys/epoll.h>

#include <boost/asio/bind_allocator.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <cerrno>

#include "server/connection.hpp"

namespace kvcache::http {

namespace asio = boost::asio;

namespace {

// Sockets served in one round.
constexpr int round_size = 128;

// Other sockets become ready during a round. Further rounds follow until none is, since waiting
// through Asio costs three calls. Bounded, since Asio's timers and posted work wait meanwhile.
constexpr int rounds_at_most = 4;

int make_epoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0)
    throw boost::system::system_error{errno, boost::system::system_category(), "epoll_create1"};
  return fd;
}

epoll_event event_for(connection& of, interest in) noexcept {
  epoll_event event{};
  if (in == interest::receive) event.events = EPOLLIN;
  if (in == interest::send) event.events = EPOLLOUT;
  event.data.ptr = &of;
  return event;
}

} // namespace

ready_set::ready_set(asio::io_context& context) : epoll_(context, make_epoll()) {}

void ready_set::watch() {
  epoll_.async_wait(descriptor::wait_read,
                    asio::bind_allocator(handler_allocator<void>(wait_memory_),
                                         [this](const boost::system::error_code& error) {
                                           if (error) return;
                                           serve_ready();
                                           if (epoll_.is_open()) watch();
                                         }));
}

void ready_set::close() noexcept {
  boost::system::error_code ignored;
  epoll_.close(ignored);
}

void ready_set::serve_ready() noexcept {
  std::array<epoll_event, round_size> events; // deliberately uninitialised
  int count = round_size;
  for (int round = 0; round < rounds_at_most && count > 0 && epoll_.is_open(); ++round) {
    count = ::epoll_wait(epoll_.native_handle(), events.data(), round_size, 0);
    // Serving one connection deletes none but that one, so the others' events stay good.
    for (int i = 0; i < count; ++i)
      static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr)->on_ready();
  }
}

bool ready_set::add(int fd, connection& of, interest in) noexcept {
  epoll_event event = event_for(of, in);
  return ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void ready_set::change(int fd, connection& of, interest in) noexcept {
  epoll_event event = event_for(of, in);
  ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, fd,
              &event); // cannot fail for one that is in it
}

} // namespace kvcache::http
