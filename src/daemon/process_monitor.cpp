#include "daemon/process_monitor.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <memory>
#include <string_view>

#include "memory/text.hpp"

namespace kvcache::daemon {

namespace {

constexpr const char* open_files_directory = "/proc/self/fd";

std::chrono::nanoseconds processor_time() noexcept {
  timespec used{}; // of all threads, system time included
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

std::uint64_t open_files() noexcept {
  struct stat directory {};
  if (stat(open_files_directory, &directory) == 0 && directory.st_size > 0)
    return static_cast<std::uint64_t>(directory.st_size); // their number, since Linux 6.2
  const std::uint64_t counted = count_names(open_files_directory);
  return counted > 0 ? counted - 1 : 0; // without the one that was used for counting
}

std::uint64_t files_most() noexcept {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

} // namespace

process_monitor::process_monitor() noexcept
    : statm_(open("/proc/self/statm", O_RDONLY | O_CLOEXEC)) {}

observe::process_facts process_monitor::read() const noexcept {
  observe::process_facts facts;
  facts.started_at = started_.time_since_epoch();
  facts.processor_time = processor_time();
  facts.resident_bytes = resident_bytes();
  facts.open_files = open_files();
  facts.files_most = files_most();
  return facts;
}

// The second of several numbers, in pages.
std::uint64_t process_monitor::resident_bytes() const noexcept {
  std::array<char, 128> buffer;
  const ssize_t got = pread(statm_.get(), buffer.data(), buffer.size(), 0);
  if (got <= 0) return 0;
  std::string_view figures{buffer.data(), static_cast<std::size_t>(got)};
  text::take_until(figures, ' ');
  const std::uint64_t pages =
      text::parse_unsigned(text::take_until(figures, ' ').value_or("")).value_or(0);
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t count_names(const char* directory) noexcept {
  const std::unique_ptr<DIR, int (*)(DIR*)> opened{opendir(directory), closedir};
  if (!opened) return 0;
  std::uint64_t names = 0;
  // readdir() is safe for a stream of one's own.
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  while (const dirent* entry = readdir(opened.get()))
    if (entry->d_name[0] != '.') ++names;
  return names;
}

} // namespace kvcache::daemon
