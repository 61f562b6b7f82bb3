#include "pressure/ballast.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
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

} // namespace

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
