// The documents describe the options as the program implements them.
#include <gtest/gtest.h>

#include <algorithm>
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

// The expected row of the table: | `--port` | `7171` | help text | `KVCACHE_PORT` |
std::string documented_row(const option_row& row) {
  const std::string preset = row.value.write(options{});
  std::string help{row.help};
  return "| `" + row.flag() + "` | " + (preset.empty() ? "none" : "`" + preset + "`") + " | " +
         help + " | `" + row.environment_variable() + "` |\n";
}

TEST(option_documentation, lists_every_option_with_the_text_of_help) {
  const std::string page = read_document("src/config/README.md");
  for (const option_row& row : option_table()) {
    EXPECT_NE(page.find(documented_row(row)), std::string::npos)
        << "missing or different: " << documented_row(row);
  }
}

TEST(option_documentation, names_no_environment_variable_that_does_not_exist) {
  std::set<std::string> known{"KVCACHE_TLS_PEM"}; // of docker/haproxy/haproxy.cfg
  for (const option_row& row : option_table()) known.insert(row.environment_variable());
  const std::regex variable{"KVCACHE_[A-Z_]+"};
  for (const char* name : {"README.md", "docker/README.md", "src/api/README.md",
                           "src/config/README.md", "src/eviction/README.md"}) {
    const std::string page = read_document(name);
    for (std::sregex_iterator at{page.begin(), page.end(), variable}, end; at != end; ++at) {
      EXPECT_TRUE(known.contains(at->str())) << name << ": " << at->str();
    }
  }
}

TEST(option_documentation, names_no_flag_in_its_tables_that_does_not_exist) {
  std::set<std::string> known{"--help", "--version", "--print-config", "--health-check"};
  for (const option_row& row : option_table()) known.insert(row.flag());
  const std::string page = read_document("src/config/README.md");
  const std::regex first_cell{"\\| `(--[a-z-]+)` \\|"};
  std::size_t rows = 0;
  for (std::sregex_iterator at{page.begin(), page.end(), first_cell}, end; at != end; ++at) {
    ++rows;
    EXPECT_TRUE(known.contains((*at)[1].str())) << (*at)[1].str();
  }
  EXPECT_EQ(rows, known.size());
}

TEST(readme, has_at_most_150_lines) {
  const std::string readme = read_document("README.md");
  EXPECT_LE(std::count(readme.begin(), readme.end(), '\n'), 150);
}

TEST(changelog, has_a_section_for_the_current_version) {
  EXPECT_NE(read_document("CHANGELOG.md").find("## [" + std::string{version()} + "]"),
            std::string::npos);
}

} // namespace
} // namespace kvcache::config
