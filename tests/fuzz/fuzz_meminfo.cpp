// Any bytes as /proc/meminfo and /proc/self/status. Holds: what is found can be true (a total above
// 0, no more in use than there is); lines of other names change nothing; figures that are written
// come back; every helper of memory/text.hpp stays inside its view.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "fuzz/fuzzing.hpp"
#include "memory/meminfo.hpp"
#include "memory/text.hpp"

using namespace kvcache;
using kvcache::fuzz::check;

namespace {

constexpr std::uint64_t kib = 1024;

bool inside(std::string_view piece, std::string_view text) {
  return piece.empty() ||
         (piece.data() >= text.data() && piece.data() + piece.size() <= text.data() + text.size());
}

// Every piece between separators, in order, and together the whole text.
void check_pieces(std::string_view input) {
  std::string_view rest = input;
  std::size_t seen = 0;
  while (const auto line = text::take_until(rest, '\n')) {
    check(inside(*line, input), "a piece lies in the text");
    check(line->find('\n') == std::string_view::npos, "a piece has no separator");
    seen += line->size() + 1;
    const std::string_view trimmed = text::trim(*line);
    check(inside(trimmed, *line), "what is trimmed lies in the piece");
    if (const auto number = text::parse_unsigned(*line)) {
      const std::size_t zeros = std::min(trimmed.find_first_not_of('0'), trimmed.size() - 1);
      check(std::to_string(*number) == trimmed.substr(zeros), "a number is what its digits say");
    }
  }
  check(seen == input.size() || seen == input.size() + 1, "no byte is lost");
}

void check_host(std::string_view input) {
  const auto host = parse_meminfo(input);
  // A first line of another name hides nothing.
  const std::string longer = "MemTotals: 1 kB\n" + std::string(input);
  const auto again = parse_meminfo(longer);
  check(host.has_value() == again.has_value(), "another line changes nothing");
  if (!host) return;
  check(host->total_bytes > 0 && host->total_bytes % kib == 0, "there is memory, in whole KiB");
  check(host->used_bytes <= host->total_bytes, "no more is in use than there is");
  check(again->total_bytes == host->total_bytes && again->used_bytes == host->used_bytes &&
            again->swapped_bytes == host->swapped_bytes,
        "another line changes no figure");
}

void check_process(std::string_view input) {
  const auto own = parse_process_status(input);
  if (own) check(own->resident_bytes % kib == 0 && own->swapped_bytes % kib == 0, "whole KiB");
}

// The first bytes as figures: written the way the kernel writes them, they are found.
void check_written(std::string_view input) {
  std::uint64_t figures[3] = {};
  std::memcpy(figures, input.data(), std::min(input.size(), sizeof figures));
  const auto [total, available, swap_free] = figures;
  const auto line = [](const char* name, std::uint64_t number) {
    return std::string(name) + ":    " + std::to_string(number) + " kB\n";
  };
  const std::string text = line("MemTotal", total) + line("MemAvailable", available) +
                           line("SwapTotal", total) + line("SwapFree", swap_free);
  constexpr std::uint64_t highest = UINT64_MAX / kib;
  const auto host = parse_meminfo(text);
  if (total == 0 || total > highest) {
    check(!host, "no memory, or more than can be counted, is no reading");
  } else if (available <= highest) {
    check(host && host->total_bytes == total * kib, "the total comes back");
    check(host->used_bytes == (available < total ? (total - available) * kib : 0), "and the use");
    if (swap_free <= highest)
      check(host->swapped_bytes == (swap_free < total ? (total - swap_free) * kib : 0),
            "and the swap");
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check_pieces(input);
  check_host(input);
  check_process(input);
  check_written(input);
  return 0;
}
