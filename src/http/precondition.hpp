// Conditional requests (RFC 9110 §13): the fields If-Match and If-None-Match, and their order.
// Pure.
//
//   const preconditions conditions{head};
//   if (!conditions.is_well_formed()) …                       // 400, whatever the state of the key
//   switch (conditions.evaluate(reads, tag_of_the_entry)) …   // under the lock of the entry
//
// Ownership: views into the head.
// Errors: none; nothing allocates.
// Complexity: evaluate() reads the fields again, linear in the head. It computes no tag.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvcache::http {

// A field whose value is `*` or a list of entity tags (§8.8.3). All its lines count as one list
// (§5.3).
class entity_tag_list {
public:
  // Strong: weak tags equal nothing. Weak: the mark is ignored (§8.8.3.2).
  enum class comparison : std::uint8_t { strong, weak };

  entity_tag_list() noexcept = default; // the field was not sent

  // `head`: a request line and field lines, each ended by CRLF. `name` in any case.
  entity_tag_list(std::string_view head, std::string_view name) noexcept;

  bool is_present() const noexcept { return form_ != form::absent; }
  bool is_well_formed() const noexcept { return form_ != form::malformed; }

  // Whether `*` or one of the tags matches `tag`, which is a quoted tag, or a weak one. A list
  // without any tag matches nothing. REQUIRES: is_present() and is_well_formed().
  bool matches(std::string_view tag, comparison how) const noexcept;

  // Whether the value is `*`, which every entry matches.
  bool is_any() const noexcept { return form_ == form::any; }

private:
  enum class form : std::uint8_t { absent, list, any, malformed };

  std::string_view head_{};
  std::string_view name_{};
  form form_ = form::absent;
};

// What a condition decides (§13.2.2).
enum class condition_outcome : std::uint8_t {
  met,
  not_modified, // 304: the client has the representation
  failed        // 412
};

class preconditions {
public:
  preconditions() noexcept = default; // none
  explicit preconditions(std::string_view head) noexcept;

  bool any() const noexcept { return if_match_.is_present() || if_none_match_.is_present(); }
  bool is_well_formed() const noexcept {
    return if_match_.is_well_formed() && if_none_match_.is_well_formed();
  }

  // `tag`: of the present entry, if there is one. `reads`: the request is a GET or a HEAD.
  // Whether conditions are evaluated at all where no entry is present depends on the method
  // (§13.2.1), and is the caller's decision. REQUIRES: is_well_formed().
  condition_outcome evaluate(bool reads, std::optional<std::string_view> tag) const noexcept;

  // Whether evaluate() reads the tag of an entry that is present.
  bool needs_tag() const noexcept;

private:
  entity_tag_list if_match_;
  entity_tag_list if_none_match_;
};

} // namespace kvcache::http
