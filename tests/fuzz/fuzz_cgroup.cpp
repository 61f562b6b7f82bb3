// Any bytes as the files that tell of control groups, in this order, NUL after each:
//   /proc/self/cgroup, /proc/self/mountinfo, and, of a group: the limit, the high mark, the use,
//   memory.stat, the swap, cpu.max
// Holds: a group found is one of the text, its levels lead up to the mount point and never out of
// it; a path that is written comes back; limits are plausible; and a monitor that is shown a group
// with these files, as v2 and as v1, has a reading that can be true, the fullest being named.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "fuzz/fuzzing.hpp"
#include "fuzz/sections.hpp"
#include "memory/cgroup.hpp"
#include "memory/cpu_quota.hpp"
#include "memory/fake_root.hpp"
#include "memory/memory_monitor.hpp"

using namespace kvcache;
using kvcache::fuzz::check;

namespace {

constexpr cgroup_version versions[] = {cgroup_version::v2, cgroup_version::v1};
constexpr cgroup_controller controllers[] = {cgroup_controller::memory, cgroup_controller::cpu};

bool climbs(std::string_view path) {
  return ("/" + std::string(path) + "/").find("/../") != std::string::npos;
}

void check_levels(const cgroup_mount& mount, std::string_view own) {
  const std::vector<std::string> levels = group_directories(mount, own);
  if (levels.empty()) return;
  check(levels.back() == mount.point, "the mount point is the topmost level");
  const std::string top = mount.point == "/" ? "" : mount.point;
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    check(levels[i].size() > top.size() && levels[i].starts_with(top), "a level lies below it");
    check(!climbs(std::string_view(levels[i]).substr(top.size())), "and does not climb out");
    const std::string& above = i + 2 < levels.size() ? levels[i + 1] : top;
    check(levels[i].starts_with(above), "each level lies below the next");
  }
}

void check_lookup(std::string_view self_cgroup, std::string_view mountinfo) {
  for (const cgroup_controller controller : controllers) {
    for (const cgroup_version version : versions) {
      const auto own = parse_own_group(self_cgroup, version, controller);
      if (own) {
        check(own->starts_with('/'), "a group is an absolute path");
        check(self_cgroup.find(*own) != std::string_view::npos, "and stands in the text");
      }
      for (const cgroup_mount& mount : parse_cgroup_mounts(mountinfo, version, controller)) {
        check(!mount.root.empty() && !mount.point.empty(), "a mount shows something somewhere");
        check_levels(mount, own.value_or("/"));
        check_levels(mount, mount.root); // always shown, unless it climbs
      }
    }
    for (const auto& group : find_groups(self_cgroup, mountinfo, controller, "/nowhere"))
      check(group.path.empty(), "what is not there is not found");
  }
}

// Any path comes back from a mount table that has it the way the kernel writes it.
void check_escapes(std::string_view path) {
  std::string written = "/";
  constexpr std::string_view digits = "01234567";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    written += '\\';
    written += digits[byte >> 6];
    written += digits[(byte >> 3) & 7];
    written += digits[byte & 7];
  }
  const std::string line = "9 8 0:7 / " + written + " rw shared:1 - cgroup2 none rw\n";
  const auto mounts = parse_cgroup_mounts(line, cgroup_version::v2, cgroup_controller::memory);
  check(mounts.size() == 1 && mounts[0].point == "/" + std::string(path), "the path comes back");
}

// A file that is kept open: to open and truncate one anew for each input takes milliseconds on
// disk.
class kept_file {
public:
  kept_file(const test::fake_root& root, std::string_view path) {
    root.write(path, "");
    fd_ = ::open((root.path() + std::string(path)).c_str(), O_WRONLY | O_CLOEXEC);
    check(fd_ >= 0, "a file can be opened");
  }
  ~kept_file() { ::close(fd_); }
  kept_file(const kept_file&) = delete;
  kept_file& operator=(const kept_file&) = delete;

  void set(std::string_view content) const {
    check(::ftruncate(fd_, 0) == 0, "a file can be emptied");
    check(::pwrite(fd_, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()),
          "a file can be written");
  }

private:
  int fd_;
};

// A machine with one group of each version, whose files are set before each reading.
struct machine {
  test::fake_root root{{"/proc/self/cgroup", "0::/app\n4:memory:/app\n"},
                       {"/proc/self/mountinfo", "1 0 0:1 / /two rw - cgroup2 none rw\n"
                                                "2 0 0:2 / /one rw - cgroup none rw,memory\n"}};
  kept_file max{root, "/two/app/memory.max"};
  kept_file high{root, "/two/app/memory.high"};
  kept_file current{root, "/two/app/memory.current"};
  kept_file stat{root, "/two/app/memory.stat"};
  kept_file swap{root, "/two/app/memory.swap.current"};
  kept_file limit_v1{root, "/one/app/memory.limit_in_bytes"};
  kept_file usage_v1{root, "/one/app/memory.usage_in_bytes"};
  kept_file stat_v1{root, "/one/app/memory.stat"};
  kept_file meminfo{root, "/proc/meminfo"};
  kept_file status{root, "/proc/self/status"};
};

void check_reading(fuzz::sections& files) {
  static const machine host;
  const std::string_view limit = files.next();
  const std::string_view high = files.next();
  const std::string_view current = files.next();
  const std::string_view stat = files.next();
  const std::string_view swap = files.next();
  host.max.set(limit);
  host.high.set(high);
  host.current.set(current);
  host.stat.set(stat);
  host.swap.set(swap);
  host.limit_v1.set(high);
  host.usage_v1.set(current);
  host.stat_v1.set(stat);
  host.meminfo.set(stat);
  host.status.set(stat);

  memory_monitor monitor({.root = host.root.path(), .memory_limit_bytes = 1 << 20});
  const memory_report& report = monitor.read(12345);
  check(!report.levels.empty() && report.fullest < report.levels.size(), "there is a reading");
  check(!report.estimated || report.levels.size() == 1, "or an estimate");
  const auto fullness = [](const memory_reading& level) {
    check(level.limit_bytes > 0, "a level has a limit");
    return static_cast<double>(level.used_bytes) / static_cast<double>(level.limit_bytes);
  };
  for (const memory_reading& level : report.levels)
    check(fullness(level) <= fullness(report.fullest_level()), "the fullest level is named");
}

void check_figures(std::string_view text) {
  if (const auto limit = parse_memory_limit(text))
    check(*limit == no_limit_bytes || (*limit > 0 && *limit < std::uint64_t{1} << 60),
          "none, or a limit that some machine may have");
  for (const cgroup_version version : versions) {
    const group_stat stat = parse_group_stat(text, version);
    for (const std::uint64_t limit : {std::uint64_t{1}, std::uint64_t{1} << 59})
      check(reclaimable_bytes(stat, limit) <=
                    std::max(stat.file_bytes, stat.slab_reclaimable_bytes) ||
                reclaimable_bytes(stat, limit) - stat.file_bytes <= stat.slab_reclaimable_bytes,
            "no more can be reclaimed than there is");
  }
  for (const auto quota : {parse_cpu_max(text), parse_cfs_quota(text, "100000")})
    if (quota) check(std::isfinite(*quota) && *quota > 0, "a share of processors above none");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  fuzz::sections files(input);
  const std::string_view self_cgroup = files.next();
  const std::string_view mountinfo = files.next();
  check_lookup(self_cgroup, mountinfo);
  check_escapes(self_cgroup);
  check_figures(self_cgroup); // any text will do
  if (!files.more()) return 0;
  check_reading(files); // some ten files: only where the input tells of them
  check_figures(files.next());
  return 0;
}
