// The figures that /stats and /metrics both report without labels: one row per figure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "report/service_snapshot.hpp"

namespace kvcache::observe {

struct figure {
  std::string_view object; // the object of /stats that contains it; empty: the outermost one
  std::string_view member; // its name there; _s and _us are durations
  std::string_view metric; // its name in /metrics
  std::string_view help;
  std::uint64_t value; // a duration in nanoseconds

  bool is_in_seconds() const noexcept { return member.ends_with("_s"); }
  bool is_in_microseconds() const noexcept { return member.ends_with("_us"); }
};

std::vector<figure> shared_figures(const service_snapshot& s);

} // namespace kvcache::observe
