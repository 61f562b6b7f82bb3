// If-Match and If-None-Match: RFC 9110 §5.3, §8.8.3, §13.1.1, §13.1.2, §13.2.2.
#include "http/precondition.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace kvcache::http {
namespace {

using comparison = entity_tag_list::comparison;

constexpr std::string_view tag = "\"abc\"";

std::string head_with(std::initializer_list<std::string_view> lines) {
  std::string head = "GET /kv/a HTTP/1.1\r\nHost: localhost\r\n";
  for (const std::string_view line : lines) head.append(line).append("\r\n");
  return head += "\r\n";
}

struct list_of {
  explicit list_of(std::initializer_list<std::string_view> values) {
    for (const std::string_view value : values) {
      head.insert(head.size() - 2, std::string{"If-Match: "}.append(value).append("\r\n"));
    }
  }
  explicit list_of(std::string_view value) : list_of({value}) {}
  entity_tag_list get() const { return {head, "if-match"}; }

  std::string head = head_with({});
};

TEST(entity_tag_list, matches_a_tag_that_it_contains) {
  for (const char* value :
       {"\"abc\"", "\"x\", \"abc\"", "\"abc\",\"x\"", " , \"x\" ,\t\"abc\" , ", "\"x,y\", \"abc\"",
        "\"\", W/\"\", \"abc\"", "\"a!#~\xE4\", \"abc\"", "*", " * "}) {
    const list_of list{value};
    EXPECT_TRUE(list.get().is_well_formed()) << value;
    EXPECT_TRUE(list.get().matches(tag, comparison::strong)) << value;
    EXPECT_TRUE(list.get().matches(tag, comparison::weak)) << value;
  }
}

TEST(entity_tag_list, does_not_match_a_tag_that_it_does_not_contain) {
  for (const char* value : {"\"ab\"", "\"abcd\"", "\"ABC\"", "\"x\", W/\"y\"", "\"x,abc\""}) {
    const list_of list{value};
    EXPECT_TRUE(list.get().is_well_formed()) << value;
    EXPECT_FALSE(list.get().matches(tag, comparison::weak)) << value;
  }
}

TEST(entity_tag_list, matches_a_weak_tag_by_weak_comparison_only) { // §8.8.3.2
  const list_of weak{"W/\"abc\""};
  EXPECT_FALSE(weak.get().matches(tag, comparison::strong));
  EXPECT_TRUE(weak.get().matches(tag, comparison::weak));
  const list_of strong{tag};
  EXPECT_FALSE(strong.get().matches("W/\"abc\"", comparison::strong));
  EXPECT_TRUE(strong.get().matches("W/\"abc\"", comparison::weak));
}

TEST(entity_tag_list, is_present_and_matches_nothing_without_a_tag) {
  for (const char* value : {"", " ", ",", " , ,\t"}) {
    const list_of list{value};
    EXPECT_TRUE(list.get().is_present()) << value;
    EXPECT_TRUE(list.get().is_well_formed()) << value;
    EXPECT_FALSE(list.get().matches(tag, comparison::weak)) << value;
  }
  EXPECT_FALSE(
      entity_tag_list(head_with({"X-If-Match: *", "If-Matches: *", "If-Matc: *"}), "if-match")
          .is_present());
}

TEST(entity_tag_list, joins_all_lines_of_the_field) { // §5.3
  const list_of list({"\"x\"", "", "\"y\", W/\"z\"", "\"abc\""});
  EXPECT_TRUE(list.get().is_well_formed());
  EXPECT_TRUE(list.get().matches(tag, comparison::strong));
  EXPECT_TRUE(list.get().matches("\"x\"", comparison::strong));
  EXPECT_FALSE(list.get().matches("\"z\"", comparison::strong));
  const std::string mixed = head_with({"iF-mAtCh:\"x\"", "If-None-Match: *", "IF-MATCH:\t\"abc\""});
  EXPECT_TRUE(entity_tag_list(mixed, "If-Match").matches(tag, comparison::strong));
  EXPECT_FALSE(entity_tag_list(mixed, "If-Match").is_any());
  EXPECT_TRUE(entity_tag_list(mixed, "If-None-Match").is_any());
}

TEST(entity_tag_list, is_malformed_outside_the_grammar) {
  for (const char* value : {"abc",
                            "'abc'",
                            "\"abc",
                            "abc\"",
                            "\"abc\" \"x\"",
                            "\"abc\"x",
                            "\"abc\", x",
                            "w/\"abc\"",
                            "W/ \"abc\"",
                            "W/",
                            "W/abc",
                            "*, \"abc\"",
                            "\"abc\", *",
                            "\"abc\";q=1",
                            "\"abc\", \"\x7f\"",
                            "\"abc\", \"a\tb\"",
                            "\"a b\"",
                            "**",
                            "*,",
                            ", *",
                            "*, *"}) {
    EXPECT_FALSE(list_of{value}.get().is_well_formed()) << value;
  }
  EXPECT_FALSE(list_of({"*", "\"abc\""}).get().is_well_formed());
  EXPECT_FALSE(list_of({"\"abc\"", "*"}).get().is_well_formed());
  EXPECT_FALSE(list_of({"*", "*"}).get().is_well_formed());
  EXPECT_FALSE(list_of({"\"abc\"", "abc"}).get().is_well_formed());
  EXPECT_FALSE(list_of({"", "*"}).get().is_well_formed()); // one list: ", *"
  EXPECT_FALSE(list_of({"*", ""}).get().is_well_formed());
}

struct decision {
  std::initializer_list<std::string_view> lines;
  std::optional<std::string_view> present;
  condition_outcome read;
  condition_outcome write;
};

TEST(preconditions, are_evaluated_in_the_order_of_the_rfc) { // §13.2.2
  using enum condition_outcome;
  const decision rows[] = {
      {{}, tag, met, met},
      {{}, std::nullopt, met, met},
      {{"If-Match: \"abc\""}, tag, met, met},
      {{"If-Match: \"x\""}, tag, failed, failed},
      {{"If-Match: W/\"abc\""}, tag, failed, failed},
      {{"If-Match: *"}, tag, met, met},
      {{"If-Match:"}, tag, failed, failed},
      {{"If-Match: *"}, std::nullopt, failed, failed},
      {{"If-Match: \"abc\""}, std::nullopt, failed, failed},
      {{"If-None-Match: \"abc\""}, tag, not_modified, failed},
      {{"If-None-Match: W/\"abc\""}, tag, not_modified, failed},
      {{"If-None-Match: \"x\""}, tag, met, met},
      {{"If-None-Match: *"}, tag, not_modified, failed},
      {{"If-None-Match:"}, tag, met, met},
      {{"If-None-Match: *"}, std::nullopt, met, met},
      {{"If-None-Match: \"abc\""}, std::nullopt, met, met},
      {{"If-Match: \"abc\"", "If-None-Match: \"abc\""}, tag, not_modified, failed},
      {{"If-Match: \"x\"", "If-None-Match: \"abc\""}, tag, failed, failed},
      {{"If-Match: \"abc\"", "If-None-Match: \"x\""}, tag, met, met},
      {{"If-Match: *", "If-None-Match: *"}, std::nullopt, failed, failed},
  };
  for (const decision& row : rows) {
    const std::string head = head_with(row.lines);
    const preconditions conditions{head};
    ASSERT_TRUE(conditions.is_well_formed()) << head;
    EXPECT_EQ(conditions.any(), row.lines.size() != 0) << head;
    EXPECT_EQ(conditions.evaluate(true, row.present), row.read) << head;
    EXPECT_EQ(conditions.evaluate(false, row.present), row.write) << head;
  }
}

TEST(preconditions, need_a_tag_only_where_one_is_compared) {
  EXPECT_FALSE(preconditions{head_with({})}.needs_tag());
  EXPECT_FALSE(preconditions{head_with({"If-Match: *", "If-None-Match: *"})}.needs_tag());
  EXPECT_TRUE(preconditions{head_with({"If-Match: \"a\""})}.needs_tag());
  EXPECT_TRUE(preconditions{head_with({"If-None-Match: \"a\""})}.needs_tag());
}

TEST(preconditions, are_malformed_where_one_field_is) {
  EXPECT_FALSE(preconditions{head_with({"If-Match: a"})}.is_well_formed());
  EXPECT_FALSE(preconditions{head_with({"If-Match: \"a\"", "If-None-Match: a"})}.is_well_formed());
}

} // namespace
} // namespace kvcache::http
