// What the fuzz targets share: a check that is not switched off in release builds.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace kvcache::fuzz {

inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

} // namespace kvcache::fuzz
