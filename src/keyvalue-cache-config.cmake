# find_package(keyvalue-cache) defines kvcache::kvcache.
include(CMakeFindDependencyMacro)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/keyvalue-cache-targets.cmake)
