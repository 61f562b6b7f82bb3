# kvcache::kvcache: the cache as one static library, of what is below the daemon: memory, cache, eviction.
#
# Users get the include directory, C++20 and Threads; flags and libcuckoo stay private. A program that links an
# instrumented library (KVCACHE_SANITIZE, KVCACHE_COVERAGE) sets the linker's option itself.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(parts)
foreach(layer memory cache eviction)
  list(APPEND parts $<TARGET_OBJECTS:kvcache_${layer}>)
  # A user may have another compiler, which needs machine code.
  target_compile_options(kvcache_${layer} PRIVATE ${KVCACHE_FAT_OBJECTS})
endforeach()
add_library(kvcache STATIC ${parts})
add_library(kvcache::kvcache ALIAS kvcache)
set_target_properties(kvcache PROPERTIES LINKER_LANGUAGE CXX)
target_compile_features(kvcache PUBLIC cxx_std_20)
target_include_directories(kvcache PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(kvcache PUBLIC Threads::Threads)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/keyvalue-cache)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/keyvalue-cache-config-version.cmake
  COMPATIBILITY SameMinorVersion) # before 1.0 a minor version may change the API
install(TARGETS kvcache EXPORT keyvalue-cache-targets ARCHIVE COMPONENT library)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/kvcache
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library FILES_MATCHING PATTERN "*.hpp")
install(EXPORT keyvalue-cache-targets NAMESPACE kvcache::
  DESTINATION ${package_directory} COMPONENT library)
install(FILES ${PROJECT_SOURCE_DIR}/src/keyvalue-cache-config.cmake
  ${PROJECT_BINARY_DIR}/keyvalue-cache-config-version.cmake
  DESTINATION ${package_directory} COMPONENT library)
