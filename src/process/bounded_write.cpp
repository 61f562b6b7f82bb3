#include "process/bounded_write.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

namespace kvcache::config {

namespace {

// Calls `may_continue` whenever a signal has interrupted the write.
template <class Predicate>
std::error_code write_while(int descriptor, std::string_view text,
                            Predicate may_continue) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EAGAIN) { // another process has made it non-blocking
      pollfd writable{descriptor, POLLOUT, 0};
      if (::poll(&writable, 1, -1) >= 0) continue;
    }
    if (errno != EINTR) return {errno, std::generic_category()};
    if (!may_continue()) return std::make_error_code(std::errc::timed_out);
  }
  return {};
}

// Interrupts system calls of this thread by a signal, repeatedly from `after` until destruction: a
// single signal could arrive just before a call begins, and would not interrupt it.
class interrupting_timer {
public:
  explicit interrupting_timer(std::chrono::milliseconds after) noexcept {
    struct sigaction interrupts {};
    interrupts.sa_handler = [](int) {}; // without SA_RESTART
    ::sigaction(SIGALRM, &interrupts, &old_action_);
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    ::pthread_sigmask(SIG_UNBLOCK, &alarm, &old_mask_);
    constexpr long repeat_us = 20'000;
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(after).count();
    const itimerval timer{{0, repeat_us}, {us / 1'000'000, us % 1'000'000}};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
  }
  ~interrupting_timer() {
    constexpr itimerval off{};
    ::setitimer(ITIMER_REAL, &off, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
    ::sigaction(SIGALRM, &old_action_, nullptr);
  }
  interrupting_timer(const interrupting_timer&) = delete;
  interrupting_timer& operator=(const interrupting_timer&) = delete;

private:
  struct sigaction old_action_ {};
  sigset_t old_mask_{};
};

} // namespace

std::error_code write_all(int descriptor, std::string_view text) noexcept {
  return write_while(descriptor, text, [] { return true; });
}

std::error_code write_within(std::chrono::milliseconds at_most, int descriptor,
                             std::string_view text) noexcept {
  const auto end = std::chrono::steady_clock::now() + at_most;
  const interrupting_timer timer{at_most};
  return write_while(descriptor, text, [end] { return std::chrono::steady_clock::now() < end; });
}

} // namespace kvcache::config
