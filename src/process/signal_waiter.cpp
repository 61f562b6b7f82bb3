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

int checked(int result, const char* call) {
  if (result < 0) throw std::system_error{errno, std::generic_category(), call};
  return result;
}

// A descriptor of the handled signals, which are blocked from now on.
int block_signals() {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&mask, signal);
  // There is one thread. NOLINTNEXTLINE(concurrency-mt-unsafe)
  checked(sigprocmask(SIG_BLOCK, &mask, nullptr), "sigprocmask");
  return checked(signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
}

} // namespace

signal_waiter::signal_waiter()
    : signals_(block_signals()),
      wakes_(checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {}

signal_waiter::event signal_waiter::wait(std::chrono::milliseconds at_most) {
  std::array<pollfd, 2> sources{pollfd{signals_.get(), POLLIN, 0}, pollfd{wakes_.get(), POLLIN, 0}};
  if (poll(sources.data(), sources.size(), static_cast<int>(at_most.count())) <= 0) {
    return event::nothing; // an interrupted wait is a short one
  }
  signalfd_siginfo received{};
  if (read(signals_.get(), &received, sizeof(received)) == sizeof(received)) {
    return received.ssi_signo == SIGHUP ? event::reload : event::stop;
  }
  std::uint64_t wakes = 0;
  return read(wakes_.get(), &wakes, sizeof(wakes)) == sizeof(wakes) ? event::woken : event::nothing;
}

void signal_waiter::wake() noexcept {
  constexpr std::uint64_t one = 1;
  // Fails only if the counter is at its maximum; then the waiter is awake anyway.
  [[maybe_unused]] const auto written = write(wakes_.get(), &one, sizeof(one));
}

} // namespace kvcache::config
