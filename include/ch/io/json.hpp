// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. An untrusted JSON document of any size. nlohmann::json allocates to free an array or an
// object, and if that fails the process dies; so this class takes documents apart without
// allocating. That recurses, so the number of levels is bounded.
// Source: RFC 8259, section 9: "An implementation may set limits on the maximum depth".
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <utility>
#include <vector>

namespace ch::io {

using Json = nlohmann::json;

/// As text; every byte that is not UTF-8 is replaced, so that JSON can hold it.
inline std::string dump_json(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

class Document {
 public:
  static constexpr std::size_t max_levels = 100;

  Document() = default;
  ~Document() { take_apart(json_); }
  Document(Document&& from) noexcept : json_(std::move(from.json_)) {}
  Document& operator=(Document&& from) noexcept {
    json_.swap(from.json_);
    return *this;
  }
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  [[nodiscard]] const Json& json() const noexcept { return json_; }
  operator const Json&() const noexcept { return json_; }  // NOLINT: it is one

  /// Fills an empty document. False if `text` is not valid JSON, or has more levels. Throws
  /// std::bad_alloc.
  [[nodiscard]] bool parse(const std::string& text) {
    Builder builder(json_);
    return Json::sax_parse(text, &builder);
  }

 private:
  static void take_apart(Json& json) noexcept {
    if (auto* const array = json.get_ptr<Json::array_t*>())
      for (; !array->empty(); array->pop_back()) take_apart(array->back());
    else if (auto* const object = json.get_ptr<Json::object_t*>())
      for (; !object->empty(); object->erase(object->begin())) take_apart(object->begin()->second);
  }

  /// Builds the document from the parser's events: if memory runs out, what exists so far belongs
  /// to the Document and not to the parser.
  class Builder : public nlohmann::json_sax<Json> {
   public:
    explicit Builder(Json& root) : slot_(&root) {}
    bool null() override { return put(nullptr); }
    bool boolean(bool value) override { return put(value); }
    bool number_integer(number_integer_t value) override { return put(value); }
    bool number_unsigned(number_unsigned_t value) override { return put(value); }
    bool number_float(number_float_t value, const string_t&) override { return put(value); }
    bool string(string_t& value) override { return put(std::move(value)); }
    bool binary(binary_t&) override { return false; }
    bool start_array(std::size_t) override { return open(Json::value_t::array); }
    bool start_object(std::size_t) override { return open(Json::value_t::object); }
    bool key(string_t& name) override {
      slot_ = &(*open_.back())[std::move(name)];
      return true;
    }
    bool end_array() override { return close(); }
    bool end_object() override { return close(); }
    bool parse_error(std::size_t, const std::string&, const Json::exception&) override {
      return false;
    }

   private:
    bool put(Json value) {
      next() = std::move(value);
      return true;
    }
    bool open(Json::value_t kind) {
      if (open_.size() == max_levels) return false;
      Json& here = next();
      here = kind;
      open_.push_back(&here);
      return true;
    }
    bool close() {
      open_.pop_back();
      return true;
    }
    /// Where the next value goes. If a name occurs twice, the last value wins.
    Json& next() {
      if (!open_.empty() && open_.back()->is_array()) {
        auto& array = open_.back()->get_ref<Json::array_t&>();
        array.emplace_back();
        return array.back();
      }
      take_apart(*slot_);
      return *slot_;
    }

    Json* slot_;               // for what comes next outside of arrays
    std::vector<Json*> open_;  // arrays and objects, the outermost first
  };

  Json json_;
};

}  // namespace ch::io
