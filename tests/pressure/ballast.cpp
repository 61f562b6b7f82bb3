#include "pressure/ballast.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <stdexcept>
#include <system_error>

namespace kvcache::test {
namespace {

// Taken in steps with a pause, as programs do, and not within one interval of the evictor.
constexpr std::size_t step_bytes = std::size_t{1} << 20;
constexpr useconds_t between_steps_us = 20'000;

// In the child of a process with threads: only what is safe in a signal handler.
[[noreturn]] void take(std::size_t bytes, int go, int done) {
  char word = 0;
  if (::read(go, &word, 1) != 1) ::_exit(1);
  void* room = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) ::_exit(1);
  volatile char* at = static_cast<volatile char*>(room);
  for (std::size_t i = 0; i < bytes; i += 4096) {
    at[i] = 1;
    if (i % step_bytes == 0) ::usleep(between_steps_us);
  }
  if (::write(done, &word, 1) != 1) ::_exit(1);
  for (;;) ::pause();
}

// In the child, too.
[[noreturn]] void grow(std::size_t jump_bytes, std::size_t bytes_a_second, std::size_t most_bytes,
                       int go, int done) {
  constexpr long step_ns = 5'000'000;
  char word = 0;
  if (::read(go, &word, 1) != 1) ::_exit(1);
  void* room =
      ::mmap(nullptr, most_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) ::_exit(1);
  volatile char* at = static_cast<volatile char*>(room);
  std::size_t taken = 0;
  const auto take_up_to = [&](std::size_t bytes) {
    for (; taken < bytes && taken < most_bytes; taken += 4096) at[taken] = 1;
  };
  take_up_to(jump_bytes);
  timespec began{};
  ::clock_gettime(CLOCK_MONOTONIC, &began);
  while (taken < most_bytes) {
    const timespec step{.tv_sec = 0, .tv_nsec = step_ns};
    ::nanosleep(&step, nullptr);
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const double seconds = static_cast<double>(now.tv_sec - began.tv_sec) +
                           static_cast<double>(now.tv_nsec - began.tv_nsec) / 1e9;
    take_up_to(jump_bytes +
               static_cast<std::size_t>(seconds * static_cast<double>(bytes_a_second)));
  }
  if (::write(done, &word, 1) != 1) ::_exit(1);
  for (;;) ::pause();
}

} // namespace

growing_ballast::growing_ballast(memory_cgroup& group, std::size_t jump_bytes,
                                 std::size_t bytes_a_second, std::size_t most_bytes) {
  int go[2];
  int done[2];
  if (::pipe(go) != 0 || ::pipe(done) != 0)
    throw std::system_error{errno, std::generic_category(), "pipe"};
  pid_ = ::fork();
  if (pid_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
  if (pid_ == 0) {
    ::close(go[1]);
    ::close(done[0]);
    grow(jump_bytes, bytes_a_second, most_bytes, go[0], done[1]);
  }
  ::close(go[0]);
  ::close(done[1]);
  done_ = done[0];
  group.add(pid_);
  const char word = 0;
  const bool begun = ::write(go[1], &word, 1) == 1;
  ::close(go[1]);
  if (!begun) throw std::runtime_error("the other process did not begin");
}

bool growing_ballast::has_all() const {
  pollfd waited{.fd = done_, .events = POLLIN, .revents = 0};
  return ::poll(&waited, 1, 0) == 1 && (waited.revents & POLLIN) != 0;
}

growing_ballast::~growing_ballast() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  ::close(done_);
}

ballast::ballast(memory_cgroup& group, std::size_t bytes) {
  int go[2];
  int done[2];
  if (::pipe(go) != 0 || ::pipe(done) != 0)
    throw std::system_error{errno, std::generic_category(), "pipe"};
  pid_ = ::fork();
  if (pid_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
  if (pid_ == 0) {
    ::close(go[1]);
    ::close(done[0]);
    take(bytes, go[0], done[1]);
  }
  ::close(go[0]);
  ::close(done[1]);
  group.add(pid_);
  char word = 0;
  const bool taken = ::write(go[1], &word, 1) == 1 && ::read(done[0], &word, 1) == 1;
  ::close(go[1]);
  ::close(done[0]);
  if (!taken) throw std::runtime_error("the other process did not get its memory");
}

ballast::~ballast() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

} // namespace kvcache::test
