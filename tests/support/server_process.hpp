// The real binary, started by a test on a free port and stopped at its end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/raw_client.hpp"

namespace kvcache::test {

// What a program that ended by itself left behind. A signal's number counts as 128 + number.
struct program_end {
  int exit_code = -1;
  std::string output; // standard output and standard error
};

class server_process {
public:
  // Starts `binary arguments…`, on a free port unless they name one, and waits until its start-up
  // line tells the port. Throws std::runtime_error, with its output, if it ends before. `launcher`:
  // a command that ends by executing the words behind it, in the same process.
  server_process(const std::string& binary, std::vector<std::string> arguments = {},
                 std::vector<std::string> launcher = {});
  // Kills it if it still runs. With STOP_SERVERS_GENTLY in the environment it is asked to stop
  // instead, so that a sanitizer or gcov can say its last word. Aborts the test where it had ended
  // by itself, or does not end well.
  ~server_process();
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;

  std::uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }
  raw_client connect() const { return raw_client{port_}; }

  void signal(int number);
  program_end wait(); // until it has ended

  std::string output() const; // so far

private:
  void stop() noexcept;
  bool read_more(); // false at the end of its output
  bool find_port();

  pid_t pid_ = -1;
  int output_fd_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::string output_; // guarded by mutex_
  std::thread reader_; // keeps the pipe from filling up
};

// Runs a program that is expected to end by itself.
program_end run_program(const std::string& binary, std::vector<std::string> arguments,
                        std::vector<std::string> launcher = {});

} // namespace kvcache::test
