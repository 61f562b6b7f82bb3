#include "process/printable.hpp"

namespace kvcache::config {

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_printable(text, [&out](char c) { out += c; });
  return out;
}

} // namespace kvcache::config
