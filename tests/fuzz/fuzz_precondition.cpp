// Field lines of If-Match and If-None-Match: sections of the input, of which the first byte names
// the field (M, N, or another). Holds: the same is read from them as by a straightforward reader
// that joins the lines and takes the value apart, and the same is decided.
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

// By the letter of RFC 9110 §5.6.1 and §8.8.3.
plain_list read_plainly(const std::vector<std::string>& lines) {
  plain_list list;
  if (lines.empty()) return list;
  list.is_present = true;
  std::string text;
  for (const std::string& line : lines) text.append(line).append(",");
  text.pop_back();
  std::size_t at = 0;
  skip_blanks(text, at);
  if (at < text.size() && text[at] == '*') {
    skip_blanks(text, ++at);
    list.is_any = list.is_well_formed = at == text.size();
    return list;
  }
  for (;;) {
    skip_blanks(text, at);
    if (at < text.size() && text[at] != ',') {
      plain_tag tag;
      if (text.compare(at, 2, "W/") == 0) {
        tag.is_weak = true;
        at += 2;
      }
      const std::size_t begin = at;
      bool is_closed = at < text.size() && text[at] == '"';
      if (is_closed) {
        is_closed = false;
        for (++at; at < text.size() && !is_closed; ++at) {
          const auto byte = static_cast<unsigned char>(text[at]);
          if (byte == '"')
            is_closed = true;
          else if (byte <= 0x20 || byte == 0x7F)
            break;
        }
      }
      if (!is_closed) {
        list.is_well_formed = false;
        return list;
      }
      tag.text = text.substr(begin, at - begin);
      list.tags.push_back(tag);
      skip_blanks(text, at);
    }
    if (at == text.size()) return list;
    if (text[at] != ',') {
      list.is_well_formed = false;
      return list;
    }
    ++at;
  }
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
