// Suggests a name for a misspelled one. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace kvcache::config {

// The number of insertions, deletions, replacements and swaps of neighbours between both texts.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The first candidate at the smallest distance. Empty if that differs in more than a third of the
// longer name: then it is not a misspelling.
std::string_view nearest_name(std::string_view name, std::span<const std::string> candidates);

} // namespace kvcache::config
