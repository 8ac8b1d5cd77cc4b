# SPDX-License-Identifier: Apache-2.0
#
#   charlie_add_part(<part>)
#
# A part of floor 6: headers, and a compiled library, static and shared, with the definitions.
# A program that links the library includes only our headers and the standard library's.
# Targets:
#
#   charlie::<part>-header-only  the headers, with the libraries that these need
#   charlie::<part>              the static library; the headers if that is not built
#   charlie::<part>-shared       the shared library
#
# charlie_<part>_libraries are what the headers need.

function(charlie_add_part part)
  add_library(charlie_${part}_headers INTERFACE)
  add_library(charlie::${part}-header-only ALIAS charlie_${part}_headers)
  set_target_properties(charlie_${part}_headers PROPERTIES EXPORT_NAME ${part}-header-only)
  target_link_libraries(charlie_${part}_headers INTERFACE charlie_core ${charlie_${part}_libraries})
  if(CHARLIE_BUILD_LIBRARIES)
    charlie_add_compiled(${part})
  else()
    add_library(charlie::${part} ALIAS charlie_${part}_headers)
  endif()
endfunction()

function(charlie_add_compiled part)
  string(TOUPPER ${part} name)
  add_library(charlie_${part}_compiled OBJECT ${PROJECT_SOURCE_DIR}/src/${part}.cpp)
  set_target_properties(charlie_${part}_compiled PROPERTIES
    POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_compile_definitions(charlie_${part}_compiled PRIVATE CHARLIE_${name}_COMPILED)
  target_link_libraries(charlie_${part}_compiled PRIVATE charlie_${part}_headers charlie_flags)

  add_library(charlie_${part} STATIC $<TARGET_OBJECTS:charlie_${part}_compiled>)
  add_library(charlie_${part}_shared SHARED $<TARGET_OBJECTS:charlie_${part}_compiled>)
  foreach(library IN ITEMS charlie_${part} charlie_${part}_shared)
    target_link_libraries(${library}
      PRIVATE $<BUILD_INTERFACE:charlie_flags> ${charlie_${part}_libraries} INTERFACE charlie_core)
    target_compile_definitions(${library} INTERFACE CHARLIE_${name}_COMPILED)
    set_target_properties(${library} PROPERTIES OUTPUT_NAME charlie_${part})
  endforeach()
  set_target_properties(charlie_${part}_shared PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  add_library(charlie::${part} ALIAS charlie_${part})
  add_library(charlie::${part}-shared ALIAS charlie_${part}_shared)
  set_target_properties(charlie_${part} PROPERTIES EXPORT_NAME ${part})
  set_target_properties(charlie_${part}_shared PROPERTIES EXPORT_NAME ${part}-shared)
endfunction()
