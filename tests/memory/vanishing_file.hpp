// A file of the kernel that holds a number and vanishes: its open descriptors then fail, as those
// of a removed control group do, which no file on disk can show.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kvcache::test {

// The oom_score_adj of a process that lives until remove().
class vanishing_file {
public:
  explicit vanishing_file(int number_up_to_1000) : pid_(::fork()) {
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    if (pid_ == 0) {
      for (;;) ::pause();
    }
    std::ofstream out(path());
    out << number_up_to_1000;
    out.close();
    if (!out) throw std::runtime_error("cannot write " + path());
  }
  ~vanishing_file() { remove(); }
  vanishing_file(const vanishing_file&) = delete;
  vanishing_file& operator=(const vanishing_file&) = delete;

  std::string path() const { return "/proc/" + std::to_string(pid_) + "/oom_score_adj"; }

  void remove() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

private:
  pid_t pid_;
};

} // namespace kvcache::test
