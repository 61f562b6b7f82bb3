#include "config/nearest_name.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvcache::config {
namespace {

TEST(nearest_name, counts_insertions_deletions_replacements_and_swaps) {
  EXPECT_EQ(edit_distance("port", "port"), 0U);
  EXPECT_EQ(edit_distance("prot", "port"), 1U);
  EXPECT_EQ(edit_distance("por", "port"), 1U);
  EXPECT_EQ(edit_distance("sport", "port"), 1U);
  EXPECT_EQ(edit_distance("pert", "port"), 1U);
  EXPECT_EQ(edit_distance("", "port"), 4U);
  EXPECT_EQ(edit_distance("port", ""), 4U);
  EXPECT_EQ(edit_distance("threads", "thread-count"), 6U);
}

TEST(nearest_name, is_the_candidate_with_the_fewest_changes) {
  const std::vector<std::string> names{"--port", "--max-key-chars", "--max-value-chars"};
  EXPECT_EQ(nearest_name("--prot", names, "--"), "--port");
  EXPECT_EQ(nearest_name("--max-keychars", names, "--"), "--max-key-chars");
  EXPECT_EQ(nearest_name("--max-values-chars", names, "--"), "--max-value-chars");
}

TEST(nearest_name, ignores_the_prefix_and_the_case_of_letters) {
  const std::vector<std::string> names{"KVCACHE_BIND", "KVCACHE_PORT"};
  EXPECT_EQ(nearest_name("KVCACHE_port", names, "KVCACHE_"), "KVCACHE_PORT");
  EXPECT_EQ(nearest_name("KVCACHE_PROT", names, "KVCACHE_"), "KVCACHE_PORT");
  EXPECT_EQ(nearest_name("KVCACHE_HELP", names, "KVCACHE_"), "");
  EXPECT_EQ(nearest_name("KVCACHE_", names, "KVCACHE_"), "");
}

TEST(nearest_name, is_empty_if_no_candidate_is_near) {
  const std::vector<std::string> names{"--port", "--bind"};
  EXPECT_EQ(nearest_name("--replication", names, "--"), "");
  EXPECT_EQ(nearest_name(std::string(100'000, '-'), names, "--"), "");
  EXPECT_EQ(nearest_name("--port", {}, "--"), "");
}

} // namespace
} // namespace kvcache::config
