#include "process/signal_waiter.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace kvcache::config {

namespace {

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error{error, std::generic_category(), what};
}

} // namespace

signal_waiter::signal_waiter() {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&mask, signal);
  if (const int error = pthread_sigmask(SIG_BLOCK, &mask, nullptr)) fail(error, "pthread_sigmask");
  signals_ = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) fail(errno, "signalfd");
  wakes_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wakes_ < 0) {
    const int error = errno;
    close(signals_);
    fail(error, "eventfd");
  }
}

signal_waiter::~signal_waiter() {
  close(wakes_);
  close(signals_);
}

signal_waiter::event signal_waiter::wait(std::chrono::milliseconds at_most) {
  std::array<pollfd, 2> sources{pollfd{signals_, POLLIN, 0}, pollfd{wakes_, POLLIN, 0}};
  if (poll(sources.data(), sources.size(), static_cast<int>(at_most.count())) <= 0) {
    return event::nothing; // an interrupted wait is a short one
  }
  signalfd_siginfo received{};
  if (read(signals_, &received, sizeof(received)) == sizeof(received)) {
    return received.ssi_signo == SIGHUP ? event::reload : event::stop;
  }
  std::uint64_t wakes = 0;
  return read(wakes_, &wakes, sizeof(wakes)) == sizeof(wakes) ? event::woken : event::nothing;
}

void signal_waiter::wake() noexcept {
  constexpr std::uint64_t one = 1;
  // Fails only if the counter is at its maximum; then the waiter is awake anyway.
  [[maybe_unused]] const auto written = write(wakes_, &one, sizeof(one));
}

} // namespace kvcache::config
