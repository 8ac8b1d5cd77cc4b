// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. What a box makes a plan from: a command and options as views, in the types of the
// launch path; and the memory for the plan, which grows until it fits.
#pragma once

#include <cstdlib>

#include "ch/hosted/options.hpp"
#include "ch/inner_environment.hpp"
#include "ch/launch.hpp"
#include "ch/launcher_descriptors.hpp"
#include "ch/policies/mount/image_root.hpp"

namespace ch {

/// A program to start, for a box to plan. Views.
struct Request {
  const char* const* argv = nullptr;         // null: the image's default command
  const char* const* environment = nullptr;  // what the program's environment starts from
  std::span<const InnerEdit> edits{};
  ImagePath directory{};
  std::span<const step::Redirect> streams{};
  std::span<const int> descriptors{};
  bool program = true;  // false: the container alone, to enter it
};

/// Purpose: a container's description that owns all it names, so that it can be kept and used
/// many times, by several threads at once.
///
/// Minimal definition: `plan(facts, request, arena)`, const. A Failure of ENOMEM without an
/// operation asks for a larger arena.
///
/// Laws: asks the kernel only about the image and the accounts; changes nothing.
///
/// Models: Box<...> (compose), HostIntegratedBox (host_integrated). An Image is not one, but
/// stands for host_integrated(image) where a box is taken.
template <class B>
concept Plannable = requires(const B& box, const HostFacts& facts, const Request& request,
                             Arena& arena) {
  { box.plan(facts, request, arena) } -> std::same_as<Outcome<Plan>>;
};

namespace detail {

/// The edits of the environment that `options` asks for.
[[nodiscard]] inline std::vector<InnerEdit> edits_of(const Options& options) {
  std::vector<InnerEdit> edits;
  edits.reserve(options.unset.size() + options.environment.size());
  for (const std::string& glob : options.unset)
    edits.push_back({{EditKind::unset_glob, glob, {}, Expansion::off}});
  for (const std::string& assignment : options.environment)
    edits.push_back({{EditKind::set_assignment, assignment, {}, Expansion::off}});
  return edits;
}

/// The environment that the program starts from, before any edits.
[[nodiscard]] inline const char* const* begin_environment(Inherit inherit) noexcept {
  static constexpr const char* none[] = {nullptr};
  return inherit == Inherit::environment ? ::environ : none;
}

[[nodiscard]] inline bool needs_larger_arena(const Failure& failure) noexcept {
  return failure.code == Errno::enomem && failure.operation == kernel::Call::none;
}

/// An invalid change of the environment, as a failure.
[[nodiscard]] inline Failure bad_environment(const EditProblem& problem) {
  TextBuffer<1024> words;
  words << problem;
  Failure failure = failed_call(static_cast<int>(Errno::einval), "make the program's environment");
  failure.cause = std::string(words.view());
  failure.remedy = "correct it where it is set: in the options, or in the image's /ch/environment";
  return failure;
}

/// The failure for a text with a NUL inside, which the kernel would cut short.
[[nodiscard]] inline Failure embedded_nul(const char* attempted) {
  Failure failure = failed_call(static_cast<int>(Errno::einval), attempted);
  failure.cause = "a text contains a NUL byte";
  failure.remedy = "give the text without it";
  return failure;
}

[[nodiscard]] inline Failure no_memory() { return explain_failure({Errno::enomem}, {}); }

/// The plan of `container`, and of what `request` wants to run in it. If there is an image, its
/// recorded environment and command apply, as with ch-run.
template <class ContainerT>
[[nodiscard]] Outcome<Plan> plan_program(ContainerT& container, const ImageRoot<>& image,
                                         const HostFacts& facts, const Request& request,
                                         Arena& arena) {
  kernel::Linux k;
  Environment environment(arena, request.environment);
  ImageMetadata metadata;
  const bool has_image = !image.image.empty();
  if (image.by == FoundBy::descriptor)
    metadata = read_metadata(k, image.directory, arena);
  else if (has_image)
    metadata = read_metadata(k, image.image, arena);
  if (metadata.error.code == Errno::enomem) return no_memory();
  if (metadata.error.code != Errno::none) return explain_failure(metadata.error, {});
  container.directory = request.directory;
  if (container.directory.empty() && !metadata.directory.empty() &&
      metadata.directory != ZString("/")) {
    container.directory = ImagePath(metadata.directory);
    container.if_directory_missing = IfMissing::skip;
  }
  EditProblem wrong;
  if (has_image) {
    wrong = prepare_environment(environment, metadata, "/", true, request.edits);
  } else {
    for (const InnerEdit& inner : request.edits)
      if (wrong.ok()) wrong = apply(environment, inner.edit);
  }
  if (environment.full()) return no_memory();
  if (!wrong.ok()) return bad_environment(wrong);

  Program program;
  program.argv = request.argv != nullptr ? request.argv : image_command(metadata, arena);
  if (program.argv != nullptr) program.name = program.argv[0];
  program.envp = environment.envp();
  if (const char* path = environment.get("PATH")) program.search_path = path;
  program.keep_descriptors = kept_descriptors(k, request.descriptors, false, environment);
  program.streams = request.streams;
  const Result<Plan> plan =
      request.program ? container.plan(facts, program, arena) : container.plan(facts, arena);
  if (!plan) return explain_failure(plan.error(), {});
  return *plan;
}

/// Why `plan` can't be combined with an image given as a descriptor, if it can't.
[[nodiscard]] inline std::optional<Failure> unfit_for_descriptor(const Plan& plan,
                                                                 bool for_program) {
  const step::OpenImage* image = nullptr;
  for (const Step& step : plan.steps)
    if (const auto* opens = std::get_if<step::OpenImage>(&step)) image = opens;
  if (image == nullptr || image->by == FoundBy::path) return std::nullopt;
  Failure wrong =
      failed_call(static_cast<int>(Errno::einval), "open image", std::string(image->image.view()));
  if (image->directory == Fd::none) {
    wrong.code = Errno::ebadf;
    wrong.cause = "the descriptor that should stand for it is none";
    wrong.remedy = "open the directory first (O_PATH will do)";
    return wrong;
  }
  if (for_program && enters_by_child(plan)) {
    wrong.cause = "an image that a descriptor stands for can't come along to a pid namespace";
    wrong.remedy = "name its path";
    return wrong;
  }
  for (const Step& step : plan.steps) {
    std::string_view path = "/";
    if (const auto* binds = std::get_if<step::Bind>(&step)) path = binds->source.view();
    if (const auto* layer = std::get_if<step::Overlay>(&step);
        layer != nullptr && layer->kind == OverlayKind::directory)
      path = layer->directory.view();
    if (head(path, 1) == "/") continue;
    wrong.cause = "it becomes the working directory, so that this would be looked for in it: " +
                  std::string(path);
    wrong.remedy = "name what is bound, and the directory of a layer, from / on";
    return wrong;
  }
  return std::nullopt;
}

/// Uninitialised memory. Pages never touched cost nothing.
class Storage {
 public:
  explicit Storage(std::size_t size) noexcept
      : bytes_(static_cast<std::byte*>(std::malloc(size))), size_(bytes_ == nullptr ? 0 : size) {}
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage() { std::free(bytes_); }
  [[nodiscard]] std::span<std::byte> span() const noexcept { return {bytes_, size_}; }

 private:
  std::byte* bytes_;
  std::size_t size_;
};

/// Which of `descriptors` is not open, if any.
[[nodiscard]] inline std::optional<Failure> closed_one(std::span<const int> descriptors) {
  for (const int fd : descriptors) {
    if (::fcntl(fd, F_GETFD) != -1) continue;
    Failure failure = failed_call(EBADF, "keep descriptor " + std::to_string(fd) + " open");
    failure.cause = "no open descriptor has this number";
    failure.remedy = "open it first, or leave it out";
    return failure;
  }
  return std::nullopt;
}

/// Plans `request` in as much memory as that takes, passes plan and arena to `use`, and returns its
/// Outcome.
template <Plannable B, class Use>
auto with_plan(const B& box, const Request& request, Use use)
    -> decltype(use(std::declval<const Plan&>(), std::declval<Arena&>())) {
  constexpr std::size_t first = std::size_t{1} << 20;
  constexpr std::size_t last = std::size_t{1} << 30;
  if (std::optional<Failure> wrong = closed_one(request.descriptors)) return *std::move(wrong);
  kernel::Linux k;
  const HostFacts facts = probe(k);
  for (std::size_t size = first;; size *= 8) {
    const Storage storage(size);
    Arena arena(storage.span());
    const Outcome<Plan> plan = box.plan(facts, request, arena);
    if (plan) {
      if (std::optional<Failure> wrong = unfit_for_descriptor(*plan, request.program))
        return *std::move(wrong);
      // The executor needs some of the arena as well.
      const std::size_t needed = 2 * child_stack_size + plan->steps.size() * sizeof(Step);
      if (arena.capacity() - arena.used() >= needed) return use(*plan, arena);
    } else if (!needs_larger_arena(plan.error()) || size >= last) {
      return plan.error();
    }
  }
}

}  // namespace detail
}  // namespace ch
