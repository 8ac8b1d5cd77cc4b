// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. The journal of an injection: everything needed to undo it or, once it is decided
// (committed), to remove what it kept. Written to the image before the first change and removed at
// the end; if one is found, its run was killed.
#pragma once

#include <concepts>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "ch/inject/image_tree.hpp"

namespace ch::injection {

inline constexpr const char* own_directory = "/ch";
inline constexpr const char* journal_name = ".ch-fromhost.journal";
inline constexpr const char* manifest_name = "injected.json";
inline constexpr const char* kept_name = "injected.d";  // holds what was replaced

/// Bytes as JSON text, which has to be UTF-8: '%' and everything but printable ASCII become %XX, as
/// in a URL.
[[nodiscard]] inline std::string encoded(std::string_view bytes) {
  constexpr const char* digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '%') {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}
[[nodiscard]] inline std::string decoded(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 0;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || i + 2 >= text.size()) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

struct Journal {
  /// One name that is about to change. `number` names what was there, in injected.d.
  struct Change {
    std::string directory, name;
    std::uint64_t number = 0;
    bool existed = false;
    std::uint64_t restores = 0;  // the number of an original to be moved back here; 0: none
    [[nodiscard]] std::string staged_name() const {
      return ".ch-fromhost." + std::to_string(number) + ".new";
    }
  };
  struct Opened {  // a directory that had to be made writable
    std::string path;
    unsigned mode = 0;
  };
  bool decided = false;
  std::vector<std::string> directories;  // that we made, parents first
  std::vector<Change> changes;
  std::vector<Opened> opened;
  std::vector<std::uint64_t> unneeded;  // numbers of kept originals to remove, once decided
  std::vector<std::string> unneeded_directories;  // to be removed if empty, once decided
};

[[nodiscard]] inline std::string to_text(const Journal& j) {
  nlohmann::json json = {{"decided", j.decided}, {"unneeded", j.unneeded}};
  const auto paths = [](const std::vector<std::string>& list) {
    auto array = nlohmann::json::array();
    for (const std::string& path : list) array.push_back(encoded(path));
    return array;
  };
  json["directories"] = paths(j.directories);
  json["unneeded_directories"] = paths(j.unneeded_directories);
  json["changes"] = nlohmann::json::array();
  for (const Journal::Change& c : j.changes)
    json["changes"].push_back({{"directory", encoded(c.directory)},
                               {"name", encoded(c.name)},
                               {"number", c.number},
                               {"existed", c.existed},
                               {"restores", c.restores}});
  json["opened"] = nlohmann::json::array();
  for (const Journal::Opened& o : j.opened)
    json["opened"].push_back({{"path", encoded(o.path)}, {"mode", o.mode}});
  return json.dump(1) + '\n';
}

/// A whole number from a document, at most `most`. JSON also has fractions and numbers of any size,
/// whose conversion would be undefined. Throws io::Failed.
template <std::integral T>
[[nodiscard]] T whole_number(const nlohmann::json& json, T most = std::numeric_limits<T>::max()) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<std::uint64_t>();
    if (std::cmp_less_equal(value, most)) return static_cast<T>(value);
  } else if (json.is_number_integer()) {
    const auto value = json.get<std::int64_t>();
    if (std::in_range<T>(value)) return static_cast<T>(value);
  }
  throw io::Failed({}, "a number in it is not whole or out of range");
}

/// Throws io::Failed if `text` is not a journal of ours: an image may contain anything.
[[nodiscard]] inline Journal journal_from_text(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    Journal j;
    j.decided = json.at("decided");
    for (const auto& number : json.at("unneeded"))
      j.unneeded.push_back(whole_number<std::uint64_t>(number));
    for (const auto& path : json.at("directories"))
      j.directories.push_back(decoded(path.get<std::string>()));
    for (const auto& path : json.at("unneeded_directories"))
      j.unneeded_directories.push_back(decoded(path.get<std::string>()));
    for (const auto& c : json.at("changes")) {
      j.changes.push_back({decoded(c.at("directory").get<std::string>()),
                           decoded(c.at("name").get<std::string>()),
                           whole_number<std::uint64_t>(c.at("number")), c.at("existed")});
      if (c.contains("restores"))
        j.changes.back().restores = whole_number<std::uint64_t>(c.at("restores"));
      if (!io::is_plain_name(j.changes.back().name))
        throw io::Failed({}, "a name in it is empty, or a path");
    }
    for (const auto& o : json.at("opened"))
      j.opened.push_back(
          {decoded(o.at("path").get<std::string>()), whole_number<mode_t>(o.at("mode"), 07777)});
    return j;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    throw io::Failed(
        std::string(own_directory) + '/' + journal_name,
        "can't read the journal of an injection that was killed",
        std::string(
            "unpack the image again, or remove the file if the image is good; the error is: ") +
            e.what());
  }
}

}  // namespace ch::injection
