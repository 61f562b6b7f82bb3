#include "http/precondition.hpp"

#include <algorithm>
#include <cstddef>

#include "http/ascii.hpp"
#include "http/field_lines.hpp"

namespace kvcache::http {
namespace {

constexpr std::string_view weak_mark = "W/";

// RFC 9110 §8.8.3: visible characters except the quote, and obs-text.
constexpr bool is_tag_byte(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '!' || (byte >= '#' && byte != 0x7F);
}

// How many bytes of a quoted tag `text` begins with; 0 if it begins with none.
std::size_t quoted_bytes(std::string_view text) noexcept {
  if (!text.starts_with('"')) return 0;
  const auto* const end = std::find_if_not(text.begin() + 1, text.end(), is_tag_byte);
  return end != text.end() && *end == '"' ? static_cast<std::size_t>(end - text.begin()) + 1 : 0;
}

// Calls `visit(is_weak, quoted)` with each tag of one line's value, until it returns false. Returns
// whether what was read is a list of tags. Empty elements are legal (§5.6.1.2).
template <class Visitor>
bool visit_tags(std::string_view rest, Visitor visit) noexcept {
  while (!rest.empty()) {
    if (rest.front() != ',') {
      const bool is_weak = rest.starts_with(weak_mark);
      if (is_weak) rest.remove_prefix(weak_mark.size());
      const std::size_t bytes = quoted_bytes(rest);
      if (bytes == 0) return false;
      if (!visit(is_weak, rest.substr(0, bytes))) return true;
      rest = trimmed(rest.substr(bytes));
      if (!rest.empty() && rest.front() != ',') return false;
    }
    if (!rest.empty()) rest = trimmed(rest.substr(1));
  }
  return true;
}

} // namespace

entity_tag_list::entity_tag_list(std::string_view head, std::string_view name) noexcept
    : head_(head), name_(name) {
  visit_lines(head, name, [&](std::string_view value) {
    const bool is_first = form_ == form::absent;
    if (value == "*") // must be all of the value, so the only line
      form_ = is_first ? form::any : form::malformed;
    else if (form_ == form::any || !visit_tags(value, [](bool, std::string_view) { return true; }))
      form_ = form::malformed;
    else
      form_ = form::list;
    return form_ != form::malformed;
  });
}

bool entity_tag_list::matches(std::string_view tag, comparison how) const noexcept {
  if (form_ == form::any) return true;
  const bool tag_is_weak = tag.starts_with(weak_mark);
  if (tag_is_weak) tag.remove_prefix(weak_mark.size());
  bool found = false;
  visit_lines(head_, name_, [&](std::string_view value) {
    visit_tags(value, [&](bool is_weak, std::string_view quoted) {
      found = quoted == tag && (how == comparison::weak || !(is_weak || tag_is_weak));
      return !found;
    });
    return !found;
  });
  return found;
}

preconditions::preconditions(std::string_view head) noexcept
    : if_match_(head, "if-match"), if_none_match_(head, "if-none-match") {}

condition_outcome preconditions::evaluate(bool reads,
                                          std::optional<std::string_view> tag) const noexcept {
  if (if_match_.is_present() &&
      !(tag && if_match_.matches(*tag, entity_tag_list::comparison::strong))) {
    return condition_outcome::failed;
  }
  if (if_none_match_.is_present() && tag &&
      if_none_match_.matches(*tag, entity_tag_list::comparison::weak)) {
    return reads ? condition_outcome::not_modified : condition_outcome::failed;
  }
  return condition_outcome::met;
}

bool preconditions::needs_tag() const noexcept {
  return (if_match_.is_present() && !if_match_.is_any()) ||
         (if_none_match_.is_present() && !if_none_match_.is_any());
}

} // namespace kvcache::http
