// The real binary, started by a test on a free port and stopped by the destructor.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/raw_client.hpp"

namespace kvcache::test {

// Output and exit code of a program that ended by itself; 128 + number for a signal.
struct program_end {
  int exit_code = -1;
  std::string output; // standard output and standard error
};

class server_process {
public:
  // Starts `binary arguments…`, on a free port unless they name one, and waits for the port in its
  // start-up line. `launcher`: a command that executes the following words in the same process.
  // Errors: throws std::runtime_error, with its output, if it ends before.
  server_process(const std::string& binary, std::vector<std::string> arguments = {},
                 std::vector<std::string> launcher = {});
  // Kills it if it still runs. With STOP_SERVERS_GENTLY in the environment it is stopped by a
  // signal instead, so that a sanitizer or gcov can write its report. Aborts the test if the
  // program had ended by itself or ends with an error.
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
  std::thread reader_; // drains the pipe
};

// Runs a program that is expected to end by itself.
program_end run_program(const std::string& binary, std::vector<std::string> arguments,
                        std::vector<std::string> launcher = {});

} // namespace kvcache::test
