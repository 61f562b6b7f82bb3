// Suggests a name for a misspelled one. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace kvcache::config {

// The number of insertions, deletions, replacements and swaps of neighbours between both texts, in
// any case.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The first candidate at the smallest distance. Empty if that differs in more than a third of the
// longer name: then it is not a misspelling. `prefix` does not count: the name and all candidates
// begin with it.
std::string_view nearest_name(std::string_view name, std::span<const std::string> candidates,
                              std::string_view prefix);

} // namespace kvcache::config
