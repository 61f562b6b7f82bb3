#include "config/process_setup.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace kvcache::config {

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
  std::string warning = "only " + std::to_string(limit.soft) + " files may be open, too few for " +
                        std::to_string(connections) + " connections: " + std::to_string(served) +
                        " are served at a time";
  if (!limit.fault.empty()) warning += "; raising that failed: " + limit.fault;
  return warning;
}

void ignore_broken_pipes() noexcept { std::signal(SIGPIPE, SIG_IGN); }

[[gnu::noinline]] void grow_stack_ahead() noexcept {
  std::array<volatile std::byte, stack_ahead_bytes> unused; // NOLINT(*-member-init): is not read
  unused.front() = std::byte{0};                            // the kernel grows it as far as that
}

bool refuse_huge_pages() noexcept { return prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0; }

void give_large_blocks_back() noexcept {
#ifdef __GLIBC__
  constexpr int large_bytes = 256 << 10; // glibc's own mark at start is 128 KiB
  mallopt(M_MMAP_THRESHOLD, large_bytes);
  mallopt(M_TRIM_THRESHOLD, large_bytes); // of free room at a heap's end
#endif
}

} // namespace kvcache::config
