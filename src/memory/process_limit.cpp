#include "memory/process_limit.hpp"

#include "memory/cgroup.hpp"
#include "memory/reread_file.hpp"
#include "memory/text.hpp"

namespace kvcache {

namespace {

std::string read_once(const std::string& path) {
  std::string text;
  return reread_file(path).read(text) ? text : std::string();
}

std::optional<std::uint64_t> number_in(const std::string& path) {
  return text::parse_unsigned(text::trim(read_once(path)));
}

} // namespace

std::optional<process_limit> read_process_limit(const std::string& root) {
  std::optional<process_limit> nearest;
  const auto left = [](const process_limit& limit) {
    return text::saturating_subtract(limit.most, limit.present);
  };
  for (const cgroup_directory& group :
       find_groups(read_once(root + "/proc/self/cgroup"), read_once(root + "/proc/self/mountinfo"),
                   cgroup_controller::pids, root)) {
    const std::string directory = root + group.path;
    const auto most = number_in(directory + "/pids.max"); // not a number: "max"
    const auto present = number_in(directory + "/pids.current");
    if (!most || !present) continue;
    process_limit found{*most, *present, group.path + "/pids.max"};
    if (!nearest || left(found) < left(*nearest)) nearest = std::move(found);
  }
  return nearest;
}

} // namespace kvcache
