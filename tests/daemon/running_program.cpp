#include "daemon/running_program.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace kvcache::tests {

running_program::running_program(const std::vector<std::string>& arguments,
                                 const std::function<void()>& prepare) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return;
  std::vector<std::string> words{KVCACHE_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  process_ = fork();
  if (process_ == 0) {
    dup2(ends[1], STDERR_FILENO);
    if (prepare) prepare();
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(ends[1]);
  errors_ = ends[0];
}

running_program::~running_program() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    wait_for_end();
  }
  if (errors_ >= 0) close(errors_);
}

bool running_program::read_line(std::string& line) {
  for (;;) {
    if (const auto end = unread_.find('\n'); end != std::string::npos) {
      line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return true;
    }
    std::array<char, 1024> piece{};
    const ssize_t got = read(errors_, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    unread_.append(piece.data(), static_cast<std::size_t>(got));
  }
}

std::string running_program::wait_for_line(const std::string& text) {
  for (std::string line; read_line(line);) {
    if (line.find(text) != std::string::npos) return line;
  }
  return "";
}

std::uint16_t running_program::wait_for_port() {
  const std::string line = wait_for_line("listening on ");
  const auto end = line.find(" with ");
  if (end == std::string::npos) return 0;
  return static_cast<std::uint16_t>(
      std::strtoul(line.c_str() + line.rfind(':', end) + 1, nullptr, 10));
}

std::string running_program::read_to_end() {
  std::string all;
  for (std::string line; read_line(line);) all.append(line).append("\n");
  return all;
}

void running_program::send_signal(int signal) const { kill(process_, signal); }

void running_program::wait_until_stopped() const {
  int status = 0;
  while (waitpid(process_, &status, WUNTRACED) == process_ && !WIFSTOPPED(status)) {
  }
}

int running_program::wait_for_end() {
  int status = 0;
  if (process_ <= 0 || waitpid(process_, &status, 0) != process_) return -1;
  process_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace kvcache::tests
