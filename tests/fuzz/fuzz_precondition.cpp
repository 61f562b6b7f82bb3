// Field lines of If-Match and If-None-Match: sections of the input, of which the first byte names
// the field (M, N, or another). Holds: the same is read from them as by a straightforward reader
// that makes a vector of tags of them, and the same is decided.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/fuzzing.hpp"
#include "fuzz/sections.hpp"
#include "http/precondition.hpp"

using namespace kvcache::http;
using kvcache::fuzz::check;
using kvcache::fuzz::sections;

namespace {

constexpr std::array<std::string_view, 4> present_tags{"\"abc\"", "\"a,b\"", "\"\"", "\"x\""};

struct plain_tag {
  bool is_weak = false;
  std::string text; // with its quotes
};

struct plain_list {
  bool is_present = false;
  bool is_well_formed = true;
  bool is_any = false;
  std::vector<plain_tag> tags;

  bool matches(std::string_view tag, bool strongly) const {
    return is_any || std::any_of(tags.begin(), tags.end(), [&](const plain_tag& one) {
             return one.text == tag && !(strongly && one.is_weak);
           });
  }
};

void skip_blanks(std::string_view text, std::size_t& at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
}

// By the letter of RFC 9110 §5.6.1 and §8.8.3: false where the line is no list of tags.
bool read_line(const std::string& text, std::vector<plain_tag>& tags) {
  std::size_t at = 0;
  for (;;) {
    skip_blanks(text, at);
    if (at < text.size() && text[at] != ',') {
      plain_tag tag;
      if (text.compare(at, 2, "W/") == 0) {
        tag.is_weak = true;
        at += 2;
      }
      if (at == text.size() || text[at] != '"') return false;
      const std::size_t end = text.find('"', at + 1);
      if (end == std::string::npos) return false;
      tag.text = text.substr(at, end + 1 - at);
      for (const char c : tag.text)
        if (static_cast<unsigned char>(c) <= 0x20 || c == '\x7F') return false;
      tags.push_back(tag);
      at = end + 1;
      skip_blanks(text, at);
    }
    if (at == text.size()) return true;
    if (text[at] != ',') return false;
    ++at;
  }
}

// An asterisk must be all there is; otherwise the tags of all lines are one list.
plain_list read_plainly(const std::vector<std::string>& lines) {
  plain_list list;
  list.is_present = !lines.empty();
  for (const std::string& line : lines) {
    const std::size_t first = line.find_first_not_of(" \t");
    if (lines.size() == 1 && first != std::string::npos && line[first] == '*' &&
        line.find_first_not_of(" \t", first + 1) == std::string::npos)
      list.is_any = true;
    else if (!read_line(line, list.tags))
      list.is_well_formed = false;
  }
  return list;
}

condition_outcome decide_plainly(const plain_list& match, const plain_list& none_match, bool reads,
                                 std::optional<std::string_view> tag) {
  if (match.is_present && (!tag || !match.matches(*tag, true))) return condition_outcome::failed;
  if (none_match.is_present && tag && none_match.matches(*tag, false))
    return reads ? condition_outcome::not_modified : condition_outcome::failed;
  return condition_outcome::met;
}

void compare(const entity_tag_list& read, const plain_list& plain) {
  check(read.is_present() == plain.is_present, "the field is there");
  check(read.is_well_formed() == plain.is_well_formed, "the list is well-formed");
  if (!plain.is_present || !plain.is_well_formed) return;
  check(read.is_any() == plain.is_any, "the value is *");
  for (const std::string_view tag : present_tags) {
    check(read.matches(tag, entity_tag_list::comparison::strong) == plain.matches(tag, true),
          "a strong match");
    check(read.matches(tag, entity_tag_list::comparison::weak) == plain.matches(tag, false),
          "a weak match");
  }
  for (const plain_tag& tag : plain.tags)
    check(read.matches(tag.text, entity_tag_list::comparison::weak),
          "each tag of the list matches");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string head = "\r\nHost: a\r\n";
  std::vector<std::string> match;
  std::vector<std::string> none_match;
  for (sections rest{{reinterpret_cast<const char*>(data), size}}; rest.more();) {
    std::string line{rest.next()};
    std::erase_if(line, [](char c) { return c == '\r' || c == '\n'; }); // no parser passes them on
    if (line.empty()) continue;
    const char name = line.front();
    line.erase(0, 1);
    if (name == 'M') match.push_back(line);
    if (name == 'N') none_match.push_back(line);
    head.append(name == 'M' ? "iF-match:" : name == 'N' ? "IF-None-Match: " : "If-Matches: ");
    head.append(line).append("\r\n");
  }
  head += "\r\n";
  const plain_list plain_match = read_plainly(match);
  const plain_list plain_none_match = read_plainly(none_match);
  compare({head, "if-match"}, plain_match);
  compare({head, "if-none-match"}, plain_none_match);

  const preconditions conditions{head};
  check(conditions.any() == (plain_match.is_present || plain_none_match.is_present), "conditional");
  const bool well_formed = plain_match.is_well_formed && plain_none_match.is_well_formed;
  check(conditions.is_well_formed() == well_formed, "well-formed conditions");
  if (!well_formed) return 0;
  for (const bool reads : {true, false}) {
    check(conditions.evaluate(reads, std::nullopt) ==
              decide_plainly(plain_match, plain_none_match, reads, std::nullopt),
          "the outcome for an absent entry");
    for (const std::string_view tag : present_tags)
      check(conditions.evaluate(reads, tag) ==
                decide_plainly(plain_match, plain_none_match, reads, tag),
            "the outcome for an entry");
  }
  return 0;
}
