# SPDX-License-Identifier: Apache-2.0
#
# Manual pages and completions, generated at build time from each tool's option table, and
# laid out below ${PROJECT_BINARY_DIR}/share as they are installed. To add a tool, which
# describes itself in apps/TOOL/documented.cpp, add its name to charlie_documented_tools, a
# line to apps/docgen/main.cpp and a text to docs/man.

set(charlie_documented_tools ch-run ch-tar2dir ch-fromhost ch-device)

add_executable(charlie-docgen ${PROJECT_SOURCE_DIR}/apps/docgen/main.cpp)
target_include_directories(charlie-docgen PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(charlie-docgen PRIVATE charlie_core charlie_flags)

set(charlie_share ${PROJECT_BINARY_DIR}/share)
set(charlie_docs "")

# charlie_add_document(<path below share> <charlie-docgen argument>...)
function(charlie_add_document file)
  set(output ${charlie_share}/${file})
  cmake_path(GET output PARENT_PATH folder)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${output}
    COMMAND charlie-docgen ${ARGN} > ${output}.new
    COMMAND ${CMAKE_COMMAND} -E rename ${output}.new ${output}
    DEPENDS charlie-docgen ${PROJECT_SOURCE_DIR}/docs/man/${ARGV1}.1.in
    COMMENT "Writing ${file}"
    VERBATIM)
  set(charlie_docs ${charlie_docs} ${output} PARENT_SCOPE)
endfunction()

foreach(tool IN LISTS charlie_documented_tools)
  target_sources(charlie-docgen PRIVATE ${PROJECT_SOURCE_DIR}/apps/${tool}/documented.cpp)
  charlie_add_document(man/man1/${tool}.1
    ${tool} manual ${PROJECT_SOURCE_DIR}/docs/man/${tool}.1.in)
  charlie_add_document(bash-completion/completions/${tool} ${tool} bash)
  charlie_add_document(zsh/site-functions/_${tool} ${tool} zsh)
  charlie_add_document(fish/vendor_completions.d/${tool}.fish ${tool} fish)
endforeach()
add_custom_target(charlie_docs ALL DEPENDS ${charlie_docs})

# ch-checkns is another name for ch-run --check, and has the same manual page.
set(charlie_links ${PROJECT_BINARY_DIR}/links)
file(MAKE_DIRECTORY ${charlie_links})
file(CREATE_LINK ch-run ${charlie_links}/ch-checkns SYMBOLIC)
file(CREATE_LINK ch-run.1 ${charlie_links}/ch-checkns.1 SYMBOLIC)

if(CHARLIE_INSTALL)
  install(DIRECTORY ${charlie_share}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR})
  foreach(folder IN ITEMS bash-completion zsh fish)
    install(DIRECTORY ${charlie_share}/${folder} DESTINATION ${CMAKE_INSTALL_DATADIR})
  endforeach()
  install(FILES ${charlie_links}/ch-checkns DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES ${charlie_links}/ch-checkns.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
