# SPDX-License-Identifier: Apache-2.0
#
# Plain libraries and a program to be injected: built without our flags, since a
# sanitizer's run-time library would have to be injected, too. Laid out in fixtures/inject as on a
# host: lib/, bin/, and what stands for an image's own in image/.

set(objects ${CMAKE_CURRENT_SOURCE_DIR}/inject/objects)
set(inject_fixtures ${charlie_fixtures}/inject)

# object_library(<target> <file name> <soname> <folder> <source>)
function(object_library target name soname folder source)
  add_library(${target} SHARED ${objects}/${source})
  set_target_properties(${target} PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY ${inject_fixtures}/${folder} PREFIX "" SUFFIX ""
    OUTPUT_NAME ${name} NO_SONAME ON CXX_EXTENSIONS ON)
  target_compile_options(${target} PRIVATE -fno-exceptions -fno-asynchronous-unwind-tables)
  target_link_options(${target} PRIVATE -nostdlib)
  if(soname)
    target_link_options(${target} PRIVATE LINKER:-soname,${soname})
  endif()
endfunction()

object_library(object_answer libcharlie_answer.so.1.0 libcharlie_answer.so.1 lib answer.cpp)
object_library(object_plugin charlie_plugin.so "" lib empty.cpp)
object_library(object_old libcharlie_versioned.so.1 libcharlie_versioned.so.1 image versioned.cpp)
target_link_options(object_old PRIVATE LINKER:--version-script=${objects}/old.map)
object_library(object_new libcharlie_versioned.so.1 libcharlie_versioned.so.1 lib versioned.cpp)
target_compile_definitions(object_new PRIVATE NEW)
target_link_options(object_new PRIVATE LINKER:--version-script=${objects}/new.map)
object_library(object_user libcharlie_user.so.1 libcharlie_user.so.1 lib user.cpp)
target_link_libraries(object_user PRIVATE object_new)
object_library(object_cxi libcxi.so.1 libcxi.so.1 opt/cray empty.cpp)
object_library(object_fabric libfabric.so libfabric.so.1 opt/cray empty.cpp)
target_link_libraries(object_fabric PRIVATE object_cxi)
target_link_options(object_fabric PRIVATE LINKER:--no-as-needed "LINKER:-rpath,$ORIGIN")
object_library(object_image_fabric libfabric.so.1.2.3 libfabric.so.1 image empty.cpp)
object_library(object_provider libcharlie-fi.so "" lib provider.cpp)
target_link_libraries(object_provider PRIVATE object_cxi)
target_link_options(object_provider PRIVATE LINKER:--no-as-needed
  LINKER:-rpath,${inject_fixtures}/opt/cray)
# Cray's provider for Gemini and Aries: libraries in several places below /opt/cray.
foreach(name IN ITEMS ugni alpslli)
  object_library(object_${name} lib${name}.so.0 lib${name}.so.0 opt/cray/${name}/lib64 empty.cpp)
endforeach()
object_library(object_gnix libgnix-fi.so "" lib provider.cpp)
target_link_libraries(object_gnix PRIVATE object_ugni object_alpslli)
target_link_options(object_gnix PRIVATE LINKER:--no-as-needed
  LINKER:-rpath,${inject_fixtures}/opt/cray/ugni/lib64:${inject_fixtures}/opt/cray/alpslli/lib64)

add_executable(object_ask ${objects}/ask.cpp)
set_target_properties(object_ask PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${inject_fixtures}/bin OUTPUT_NAME charlie_ask SKIP_BUILD_RPATH ON)
target_link_libraries(object_ask PRIVATE object_answer)
# Not libstdc++, which the image would have to have.
target_link_options(object_ask PRIVATE -nodefaultlibs -Wl,--no-as-needed)
target_link_libraries(object_ask PRIVATE c)

add_custom_target(charlie_inject_objects ALL DEPENDS object_answer object_plugin object_old
  object_new object_user object_cxi object_fabric object_image_fabric object_provider object_gnix
  object_ask)
if(TARGET test_inject)
  add_dependencies(test_inject charlie_inject_objects)
  if(TARGET charlie_docs)
    add_dependencies(test_inject charlie_docs)
  endif()
endif()

# ---- real distributions, see real_image/ ------------------------------------------------
set(here ${CMAKE_CURRENT_SOURCE_DIR}/inject)
charlie_add_test_as_user(inject.real_image ${here}/real $<TARGET_FILE:ch-tar2dir>
  $<TARGET_FILE:ch-run> $<TARGET_FILE:ch-fromhost> ${CHARLIE_DEBIAN_TAR} FIXTURES debian)
add_test(NAME inject.other_release COMMAND ${here}/other_release $<TARGET_FILE:ch-tar2dir>
  $<TARGET_FILE:ch-run> $<TARGET_FILE:ch-fromhost> ${charlie_fixtures}/releases)
set_tests_properties(inject.other_release PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
