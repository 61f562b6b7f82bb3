// The README's tables of options say exactly what the program does.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "config/command_line.hpp"
#include "config/option_table.hpp"

namespace kvcache::config {
namespace {

std::string read_document(const std::string& name) {
  std::ifstream file{std::string{KVCACHE_SOURCE_DIR} + "/" + name, std::ios::binary};
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>{file}, {}};
}

// How the README has to write a row: | `--port` | `7171` | what it is | `KVCACHE_PORT` |
std::string readme_row(const option_row& row) {
  const std::string preset = row.value.write(options{});
  std::string help{row.help};
  return "| `" + row.flag() + "` | " + (preset.empty() ? "none" : "`" + preset + "`") + " | " +
         help + " | `" + row.environment_variable() + "` |\n";
}

TEST(readme, lists_every_option_as_help_tells_it) {
  const std::string readme = read_document("README.md");
  for (const option_row& row : option_table()) {
    EXPECT_NE(readme.find(readme_row(row)), std::string::npos)
        << "missing or different: " << readme_row(row);
  }
}

TEST(readme, names_no_variable_and_no_flag_in_its_tables_that_is_not_there) {
  const std::string readme = read_document("README.md");
  std::set<std::string> known;
  for (const option_row& row : option_table()) known.insert(row.environment_variable());
  const std::regex variable{"KVCACHE_[A-Z_]+"};
  for (std::sregex_iterator at{readme.begin(), readme.end(), variable}, end; at != end; ++at) {
    EXPECT_TRUE(known.contains(at->str())) << at->str();
  }
}

TEST(changelog, has_the_version_at_hand) {
  EXPECT_NE(read_document("CHANGELOG.md").find("## [" + std::string{version()} + "]"),
            std::string::npos);
}

} // namespace
} // namespace kvcache::config
