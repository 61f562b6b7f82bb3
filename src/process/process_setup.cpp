#include "process/process_setup.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <stdexcept>
#include <system_error>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace kvcache::config {

namespace {

// The stack that the first thread needs when serving begins, and the part of it that is not
// preallocated: the frames between measuring and touching.
constexpr std::size_t min_stack_bytes = 160 << 10;
constexpr std::size_t stack_margin_bytes = 16 << 10;
constexpr rlim_t preferred_stack_bytes = 1 << 20;

// The kernel checks the limit when the stack grows, so a higher one takes effect in this process.
void raise_stack_limit() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= preferred_stack_bytes) return;
  const rlimit higher{preferred_stack_bytes, std::max(limit.rlim_max, preferred_stack_bytes)};
  if (setrlimit(RLIMIT_STACK, &higher) == 0) return;
  limit.rlim_cur = limit.rlim_max; // only root may raise that
  setrlimit(RLIMIT_STACK, &limit);
}

// The C library makes other threads' stacks as large as the stack limit at the program's start.
void raise_default_thread_stack() noexcept {
#ifdef __GLIBC__
  pthread_attr_t attributes;
  if (pthread_getattr_default_np(&attributes) != 0) return;
  std::size_t bytes = 0;
  if (pthread_attr_getstacksize(&attributes, &bytes) == 0 && bytes < preferred_stack_bytes &&
      pthread_attr_setstacksize(&attributes, preferred_stack_bytes) == 0)
    pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
#endif
}

// How much further the calling thread's stack may grow; a large value if unknown. Not inlined: the
// frame from which it measures must be below the caller's.
[[gnu::noinline]] std::size_t stack_left_bytes() noexcept {
  std::size_t left = preferred_stack_bytes;
#ifdef __GLIBC__
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return left;
  void* lowest = nullptr;
  std::size_t bytes = 0;
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  if (pthread_attr_getstack(&attributes, &lowest, &bytes) == 0) {
    const auto end = reinterpret_cast<std::uintptr_t>(lowest);
    left = here > end ? here - end : 0;
  }
  pthread_attr_destroy(&attributes);
#endif
  return left;
}

[[gnu::noinline]] void touch_stack(std::size_t bytes) noexcept {
  auto* const lowest = static_cast<volatile std::byte*>(__builtin_alloca(bytes));
  *lowest = std::byte{0}; // the kernel grows the stack to here
}

} // namespace

open_file_limit raise_open_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return {0, std::generic_category().message(errno)};
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    return {before, std::generic_category().message(errno)};
  return {limit.rlim_cur, {}};
}

std::optional<std::string> find_too_few_files(const open_file_limit& limit,
                                              std::uint64_t connections, std::uint64_t served) {
  if (served >= connections) return std::nullopt;
  std::string warning = "the limit of open files (ulimit -n) is " + std::to_string(limit.soft) +
                        ", too low for " + std::to_string(connections) +
                        " connections; serving at most " + std::to_string(served);
  if (!limit.fault.empty()) warning += "; raising the limit failed: " + limit.fault;
  return warning;
}

void fill_standard_descriptors() noexcept {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    // The lowest free number is this one. Not closed on exec, like any standard descriptor.
    if (::open("/dev/null", descriptor == STDOUT_FILENO ? O_RDONLY : O_RDWR) < 0)
      ::open("/", O_PATH); // without /dev: occupies the number; reads and writes fail
  }
}

void ignore_write_signals() noexcept {
  for (const int number : {SIGPIPE, SIGXFSZ}) std::signal(number, SIG_IGN);
}

void reap_children() noexcept {
  std::signal(SIGCHLD, SIG_IGN);
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void preallocate_stack() {
  raise_stack_limit();
  raise_default_thread_stack();
  const std::size_t left = stack_left_bytes();
  if (left < min_stack_bytes)
    throw std::runtime_error{"the stack limit (ulimit -s) leaves " + std::to_string(left >> 10U) +
                             " KiB, too little to serve; raise it to 1024 KiB or more"};
  touch_stack(std::min(preallocated_stack_bytes, left - stack_margin_bytes));
}

bool disable_huge_pages() noexcept { return prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0; }

void return_large_blocks_to_kernel() noexcept {
#ifdef __GLIBC__
  constexpr int large_bytes = 256 << 10; // glibc starts with 128 KiB
  // There is one thread yet.
  mallopt(M_MMAP_THRESHOLD, large_bytes); // NOLINT(concurrency-mt-unsafe)
  // Free space at the end of a heap. NOLINTNEXTLINE(concurrency-mt-unsafe)
  mallopt(M_TRIM_THRESHOLD, large_bytes);
#endif
}

void share_one_heap_if_addresses_are_limited() noexcept {
#ifdef __GLIBC__
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  mallopt(M_ARENA_MAX, 1); // there is one thread yet. NOLINT(concurrency-mt-unsafe)
#endif
}

} // namespace kvcache::config
