// Runs a fuzz target once over each file named on the command line, or found in a folder named
// there: the seeds as a regression test, and a crash found elsewhere under a debugger. A file that
// ends in .hex holds several, one a line in hexadecimal (scripts/fuzz writes it).
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run_once(std::string_view bytes) {
  // A copy of exactly this size, so that a sanitizer sees what is read behind it.
  const auto copy = std::make_unique<std::uint8_t[]>(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) copy[i] = static_cast<std::uint8_t>(bytes[i]);
  LLVMFuzzerTestOneInput(copy.get(), bytes.size());
}

// False: it is no such line.
bool from_hex(std::string_view line, std::string& bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  bytes.clear();
  if (line.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < line.size(); i += 2) {
    const std::size_t high = digits.find(line[i]);
    const std::size_t low = digits.find(line[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    bytes += static_cast<char>(high << 4 | low);
  }
  return true;
}

// How many inputs were run; ends the program where the file is not as it should be.
std::size_t replay_lines(std::ifstream& file, const std::filesystem::path& path) {
  std::size_t count = 0;
  std::string line;
  std::string bytes;
  for (; std::getline(file, line); ++count) {
    if (!from_hex(line, bytes)) {
      std::fprintf(stderr, "%s: line %zu is not hexadecimal\n", path.c_str(), count + 1);
      std::exit(1);
    }
    run_once(bytes);
  }
  return count;
}

std::size_t replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "%s cannot be read\n", path.c_str());
    std::exit(1);
  }
  if (path.extension() == ".hex") return replay_lines(file, path);
  run_once(std::string{std::istreambuf_iterator<char>(file), {}});
  return 1;
}

} // namespace

int main(int argc, char** argv) {
  std::size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path path(argv[i]);
    if (std::filesystem::is_directory(path)) {
      for (const auto& entry : std::filesystem::directory_iterator(path))
        if (entry.is_regular_file()) inputs += replay(entry.path());
    } else {
      inputs += replay(path);
    }
  }
  std::printf("%zu inputs\n", inputs);
  return inputs == 0 ? 1 : 0;
}
