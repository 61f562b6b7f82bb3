// The git revision that the program was built from: 40 hexadecimal digits, or "unknown" where the
// sources came without one. Changes that are not committed do not show in it.
//
// Its source is generated (revision.cmake), and nothing but main.cpp uses it: a new commit has one
// tiny file compiled and the program linked, and no test program built.
#pragma once

#include <string_view>

namespace kvcache {

extern const std::string_view revision;

} // namespace kvcache
