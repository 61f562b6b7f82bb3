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

// A child process that does `work` once it is in the group and told to begin: what it has done is
// to be read from `done`.
struct child {
  pid_t pid;
  int done;
};
template <class Work>
child start_in(memory_cgroup& group, Work work) {
  int go[2];
  int done[2];
  if (::pipe(go) != 0 || ::pipe(done) != 0)
    throw std::system_error{errno, std::generic_category(), "pipe"};
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error{errno, std::generic_category(), "fork"};
  if (pid == 0) {
    ::close(go[1]);
    ::close(done[0]);
    work(go[0], done[1]);
  }
  ::close(go[0]);
  ::close(done[1]);
  group.add(pid);
  const char word = 0;
  const bool begun = ::write(go[1], &word, 1) == 1;
  ::close(go[1]);
  if (!begun) throw std::runtime_error("the other process did not begin");
  return {pid, done[0]};
}

void end(pid_t pid) {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

} // namespace

growing_ballast::growing_ballast(memory_cgroup& group, std::size_t jump_bytes,
                                 std::size_t bytes_a_second, std::size_t most_bytes) {
  const child started = start_in(
      group, [=](int go, int done) { grow(jump_bytes, bytes_a_second, most_bytes, go, done); });
  pid_ = started.pid;
  done_ = started.done;
}

bool growing_ballast::has_all() const {
  pollfd waited{.fd = done_, .events = POLLIN, .revents = 0};
  return ::poll(&waited, 1, 0) == 1 && (waited.revents & POLLIN) != 0;
}

growing_ballast::~growing_ballast() {
  end(pid_);
  ::close(done_);
}

ballast::ballast(memory_cgroup& group, std::size_t bytes) {
  const child started = start_in(group, [=](int go, int done) { take(bytes, go, done); });
  pid_ = started.pid;
  char word = 0;
  const bool taken = ::read(started.done, &word, 1) == 1;
  ::close(started.done);
  if (!taken) throw std::runtime_error("the other process did not get its memory");
}

ballast::~ballast() { end(pid_); }

} // namespace kvcache::test
