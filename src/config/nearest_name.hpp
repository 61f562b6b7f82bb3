// "Did you mean …?" for a name that does not exist. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace kvcache::config {

// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate that is most likely meant: the first of those at the least distance. Empty where
// even that one differs in more than a third of the longer name, as nobody has meant it then.
std::string_view nearest_name(std::string_view name, std::span<const std::string> candidates);

} // namespace kvcache::config
