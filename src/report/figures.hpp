// The figures that /stats and /metrics both report without labels: one row per figure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "report/service_snapshot.hpp"

namespace kvcache::observe {

struct figure {
  std::string_view object; // the object of /stats that contains it; empty: the outermost one
  std::string_view member; // its name there; _s and _us are durations
  std::string_view metric; // its name in /metrics
  std::string_view help;
  std::uint64_t (*value)(const service_snapshot&); // durations in nanoseconds

  constexpr bool is_in_seconds() const noexcept { return member.ends_with("_s"); }
  constexpr bool is_in_microseconds() const noexcept { return member.ends_with("_us"); }
};

std::span<const figure> shared_figures() noexcept;

} // namespace kvcache::observe
