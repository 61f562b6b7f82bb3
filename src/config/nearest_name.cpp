#include "config/nearest_name.hpp"

#include <algorithm>
#include <vector>

#include "http/ascii.hpp"

namespace kvcache::config {

// Optimal string alignment: three rows of the table of distances between all prefixes.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced =
          last[j - 1] + (http::to_lower(a[i - 1]) == http::to_lower(b[j - 1]) ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string_view nearest_name(std::string_view name, std::span<const std::string> candidates,
                              std::string_view prefix) {
  constexpr std::size_t longest = 64; // longer than any option; the work is quadratic
  name.remove_prefix(prefix.size());
  if (name.size() > longest) return {};
  std::string_view nearest;
  std::size_t smallest = longest;
  for (const std::string& candidate : candidates) {
    const std::string_view rest = std::string_view{candidate}.substr(prefix.size());
    const std::size_t distance = edit_distance(name, rest);
    if (distance < smallest && distance * 3 <= std::max(name.size(), rest.size())) {
      smallest = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

} // namespace kvcache::config
