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

double seconds_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// In the child, too. `paced_by`: the processor time of that process.
[[noreturn]] void grow(const growth& how, clockid_t paced_by, int go, int done) {
  constexpr timespec step{.tv_sec = 0, .tv_nsec = 5'000'000};
  char word = 0;
  if (::read(go, &word, 1) != 1) ::_exit(1);
  void* room =
      ::mmap(nullptr, how.most_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) ::_exit(1);
  volatile char* at = static_cast<volatile char*>(room);
  std::size_t taken = 0;
  const auto take_up_to = [&](std::size_t bytes) {
    for (; taken < bytes && taken < how.most_bytes; taken += 4096) at[taken] = 1;
  };
  take_up_to(how.jump_bytes);
  const double began = seconds_of(CLOCK_MONOTONIC);
  const double had_by_then = seconds_of(paced_by);
  while (taken < how.most_bytes) {
    ::nanosleep(&step, nullptr);
    const double passed = seconds_of(CLOCK_MONOTONIC) - began;
    const double paced = (seconds_of(paced_by) - had_by_then) / how.processor_share;
    const double seconds = passed < paced ? passed : paced;
    take_up_to(how.jump_bytes +
               static_cast<std::size_t>(seconds * static_cast<double>(how.bytes_a_second)));
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

growing_ballast::growing_ballast(memory_cgroup& group, const growth& how) {
  clockid_t paced_by{};
  if (const int error = ::clock_getcpuclockid(how.paced_by, &paced_by); error != 0)
    throw std::system_error{error, std::generic_category(), "clock_getcpuclockid"};
  const child started =
      start_in(group, [how, paced_by](int go, int done) { grow(how, paced_by, go, done); });
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
