const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{});
    const lib_dir = libraryDirectory(b, b.option(
        []const u8,
        "maze-prefix",
        "Where libmaze is installed; relative to this package (default: ../.venv). Its lib/ is searched and kept as rpath",
    ) orelse "../.venv");

    // What a dependent package imports: b.dependency("maze", .{}).module("maze").
    const maze = b.addModule("maze", .{
        .root_source_file = b.path("src/maze.zig"),
        .target = target,
        .optimize = optimize,
        // The library needs the C library's start-up; without it the first call crashes.
        .link_libc = true,
    });
    maze.addLibraryPath(lib_dir);
    // So that programs run where they were built, without LD_LIBRARY_PATH.
    maze.addRPath(lib_dir);
    // Not pkg-config, which may know another libmaze than the one of the prefix.
    maze.linkSystemLibrary("maze", .{ .use_pkg_config = .no });

    const demo = b.addExecutable(.{
        .name = "maze-demo",
        .root_module = b.createModule(.{
            .root_source_file = b.path("examples/demo.zig"),
            .target = target,
            .optimize = optimize,
            .imports = &.{.{ .name = "maze", .module = maze }},
        }),
    });
    b.installArtifact(demo);

    const run_demo = b.addRunArtifact(demo);
    b.step("run", "Generate code with a real model under constraints, and show every stage").dependOn(&run_demo.step);

    const test_step = b.step("test", "Run the tests: layouts, ownership, errors, threads, a real generation");

    const header = b.addTranslateC(.{
        .root_source_file = b.path("tests/header.h"),
        .target = target,
        .optimize = optimize,
        .link_libc = true,
    });
    header.addIncludePath(b.path("../include"));
    const tests = b.addTest(.{
        .root_module = b.createModule(.{
            .root_source_file = b.path("tests/tests.zig"),
            .target = target,
            .optimize = optimize,
            .imports = &.{
                .{ .name = "maze", .module = maze },
                .{ .name = "header", .module = header.createModule() },
            },
        }),
    });
    const package = b.addOptions();
    package.addOption([]const u8, "version", @import("build.zig.zon").version);
    tests.root_module.addOptions("package", package);

    const run_tests = b.addRunArtifact(tests);
    // They test the library and the model behind it too, and the build system does not see those change.
    run_tests.has_side_effects = true;
    test_step.dependOn(&run_tests.step);
}

/// The absolute path of lib/ under a prefix. A path relative to the package would become an rpath relative to whatever
/// directory the program is started in.
fn libraryDirectory(b: *std.Build, prefix: []const u8) std.Build.LazyPath {
    const io = b.graph.io;
    const arena = b.graph.arena;
    // The cache of the configuration would not notice a source tree that has moved, nor a library that was removed.
    b.graph.poisonCache();
    const root = b.root.root_dir.handle.realPathFileAlloc(io, b.root.subPathOrDot(), arena) catch |err|
        std.debug.panic("cannot find the directory of build.zig: {t}", .{err});
    const directory = std.fs.path.resolve(arena, &.{ root, prefix, "lib" }) catch @panic("OOM");

    std.Io.Dir.cwd().access(io, b.pathJoin(&.{ directory, "libmaze.so" }), .{}) catch std.log.warn(
        "there is no libmaze.so in {s}: run `make` in libmaze's source tree, or give its prefix with -Dmaze-prefix",
        .{directory},
    );
    return b.graph.cwdRelativePath(directory);
}
