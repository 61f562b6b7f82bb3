#include "support/server_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace kvcache::test {

namespace {

constexpr int exit_code_of_failed_start = 127;
constexpr int exit_code_of_signal = 128;

struct child {
  pid_t pid;
  int output_fd;
};

child start_program(const std::string& binary, const std::vector<std::string>& arguments,
                    std::vector<std::string> words) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw std::system_error{errno, std::generic_category(), "pipe"};
  words.push_back(binary);
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(exit_code_of_failed_start);
  }
  ::close(ends[1]);
  if (pid < 0) throw std::system_error{errno, std::generic_category(), "fork"};
  return {pid, ends[0]};
}

int wait_for_end(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) throw std::system_error{errno, std::generic_category(), "waitpid"};
  return WIFEXITED(status) ? WEXITSTATUS(status) : exit_code_of_signal + WTERMSIG(status);
}

bool has_ended(pid_t pid) {
  siginfo_t end{};
  ::waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED | WNOHANG | WNOWAIT);
  return end.si_pid != 0;
}

// The second signal ends a drain in progress.
void stop_gently(pid_t pid) {
  constexpr int attempts = 2000;
  for (int i = 0; i < attempts && !has_ended(pid); ++i) {
    ::kill(pid, SIGTERM);
    ::usleep(5000);
  }
  ::kill(pid, SIGKILL);
}

} // namespace

server_process::server_process(const std::string& binary, std::vector<std::string> arguments,
                               std::vector<std::string> launcher) {
  if (std::find(arguments.begin(), arguments.end(), "--port") == arguments.end())
    arguments.insert(arguments.begin(), {"--port", "0"});
  const child started = start_program(binary, arguments, std::move(launcher));
  pid_ = started.pid;
  output_fd_ = started.output_fd;
  while (!find_port()) {
    if (read_more()) continue;
    const program_end end = wait();
    throw std::runtime_error("the server ended with " + std::to_string(end.exit_code) + ": " +
                             end.output);
  }
  reader_ = std::thread{[this] {
    while (read_more()) {
    }
  }};
}

server_process::~server_process() {
  if (pid_ > 0) stop();
  if (reader_.joinable()) reader_.join();
  if (output_fd_ >= 0) ::close(output_fd_);
}

// A destructor cannot throw, and a sanitizer may report an error at the end.
void server_process::stop() noexcept {
  if (!has_ended(pid_) && std::getenv("STOP_SERVERS_GENTLY") == nullptr) {
    ::kill(pid_, SIGKILL);
    wait_for_end(pid_);
    return;
  }
  stop_gently(pid_);
  const program_end end = wait();
  if (end.exit_code == 0) return;
  std::fprintf(stderr, "the server ended with %d: %s\n", end.exit_code, end.output.c_str());
  std::abort();
}

void server_process::signal(int number) { ::kill(pid_, number); }

program_end server_process::wait() {
  const int exit_code = wait_for_end(std::exchange(pid_, -1));
  if (reader_.joinable()) reader_.join();
  return {exit_code, output()};
}

std::string server_process::output() const {
  const std::lock_guard lock{mutex_};
  return output_;
}

bool server_process::read_more() {
  char piece[4096];
  ssize_t got = 0;
  do {
    got = ::read(output_fd_, piece, sizeof(piece));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return false;
  const std::lock_guard lock{mutex_};
  output_.append(piece, static_cast<std::size_t>(got));
  return true;
}

bool server_process::find_port() {
  constexpr std::string_view before = "listening on 127.0.0.1:";
  const std::size_t at = output_.find(before);
  if (at == std::string::npos || output_.find('\n', at) == std::string::npos) return false;
  port_ =
      static_cast<std::uint16_t>(std::strtoul(output_.c_str() + at + before.size(), nullptr, 10));
  return port_ != 0;
}

program_end run_program(const std::string& binary, std::vector<std::string> arguments,
                        std::vector<std::string> launcher) {
  const child started = start_program(binary, arguments, std::move(launcher));
  program_end end;
  char piece[4096];
  for (ssize_t got = 0; (got = ::read(started.output_fd, piece, sizeof(piece))) != 0;) {
    if (got > 0)
      end.output.append(piece, static_cast<std::size_t>(got));
    else if (errno != EINTR)
      break;
  }
  ::close(started.output_fd);
  end.exit_code = wait_for_end(started.pid);
  return end;
}

} // namespace kvcache::test
