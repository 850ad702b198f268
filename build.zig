const std = @import("std");
const builtin = @import("builtin");

comptime {
    if (builtin.zig_version.order(.{ .major = 0, .minor = 15, .patch = 2 }) == .lt)
        @compileError("libmaze's package is for Zig 0.15.2, 0.16 and 0.17; this is Zig " ++ builtin.zig_version_string);
}

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{});
    const prefix = b.option(
        []const u8,
        "maze-prefix",
        "Where libmaze is installed, such as /usr/local (default: .venv here if it was built there, else what pkg-config or `maze config` knows)",
    );

    // What a dependent package imports: b.dependency("maze", .{}).module("maze").
    const maze = b.addModule("maze", .{
        .root_source_file = b.path("zig/src/maze.zig"),
        .target = target,
        .optimize = optimize,
        // The library needs the C library's start-up; without it the first call crashes.
        .link_libc = true,
    });
    linkLibrary(b, maze, prefix);

    // A package that depends on this one builds nothing of what follows.
    const demo = b.addExecutable(.{
        .name = "maze-demo",
        .root_module = b.createModule(.{
            .root_source_file = b.path("zig/examples/demo.zig"),
            .target = target,
            .optimize = optimize,
            .imports = &.{.{ .name = "maze", .module = maze }},
        }),
    });
    b.installArtifact(demo);

    const run_demo = b.addRunArtifact(demo);
    b.step("run", "Generate code with a real model under constraints, and show every stage").dependOn(&run_demo.step);

    // Without the library, which documentation does not need.
    const documented = b.addObject(.{
        .name = "maze",
        .root_module = b.createModule(.{
            .root_source_file = b.path("zig/src/maze.zig"),
            .target = target,
            .optimize = optimize,
            .link_libc = true,
        }),
    });
    const install_docs = b.addInstallDirectory(.{
        .source_dir = documented.getEmittedDocs(),
        .install_dir = .prefix,
        .install_subdir = "docs",
    });
    b.step("docs", "Render the documentation of the module into zig-out/docs (a web server must show it)")
        .dependOn(&install_docs.step);

    const test_step = b.step("test", "Run the tests: layouts, ownership, errors, threads, a real generation");

    const header = b.addTranslateC(.{
        .root_source_file = b.path("zig/tests/header.h"),
        .target = target,
        .optimize = optimize,
        .link_libc = true,
    });
    header.addIncludePath(b.path("include"));
    const tests = b.addTest(.{
        .root_module = b.createModule(.{
            .root_source_file = b.path("zig/tests/tests.zig"),
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

/// Link libmaze.so from under `given`; without that from .venv of a source tree that was built, else as pkg-config says,
/// else from the Python environment of the command `maze`.
fn linkLibrary(b: *std.Build, maze: *std.Build.Module, given: ?[]const u8) void {
    const directory = compat.absolutePath(b, b.pathJoin(&.{ given orelse ".venv", "lib" }));
    if (linkFrom(b, maze, directory)) return;
    // The linker's own complaint would not say where libmaze comes from.
    const naming = if (b.dep_prefix.len != 0)
        "b.dependency(\"maze\", .{ .@\"maze-prefix\" = \"PREFIX\" }) in your build.zig"
    else
        "-Dmaze-prefix=PREFIX";
    if (given != null) {
        std.log.warn("there is no libmaze.so in {s}: build libmaze there (make, or make install), or give its prefix: {s}", .{
            directory, naming,
        });
    } else if (!isInstalled(b)) {
        if (compat.output(b, &.{ "maze", "config", "--zig-prefix" })) |prefix| {
            if (linkFrom(b, maze, b.pathJoin(&.{ prefix, "lib" }))) return;
        }
        std.log.warn("libmaze is not installed, or not where pkg-config and the linker look. Activate the environment that pip " ++
            "has installed it in, or in its source tree run make install PREFIX=/usr/local (or make alone, for .venv in " ++
            "the tree), and give that prefix: {s}", .{naming});
    }
    maze.linkSystemLibrary("maze", .{});
}

/// Link the library of a directory. False if it has none.
fn linkFrom(b: *std.Build, maze: *std.Build.Module, directory: []const u8) bool {
    const library = b.pathJoin(&.{ directory, "libmaze.so.1" });
    if (!compat.exists(b, library)) return false;
    // By its file: libmaze.so of a wheel is a linker script, which Zig does not read.
    maze.addObjectFile(compat.machinePath(b, library));
    // So that programs run where they were built, without LD_LIBRARY_PATH.
    maze.addRPath(compat.machinePath(b, directory));
    return true;
}

fn isInstalled(b: *std.Build) bool {
    if (compat.output(b, &.{ "pkg-config", "--exists", "maze" }) != null) return true;
    for (compat.searchPrefixes(b)) |prefix| {
        if (compat.exists(b, b.pathJoin(&.{ prefix, "lib", "libmaze.so" }))) return true;
    }
    for ([_][]const u8{ "/usr/local/lib", "/usr/lib", "/usr/lib64", "/lib", "/lib64" }) |directory| {
        if (compat.exists(b, b.pathJoin(&.{ directory, "libmaze.so" }))) return true;
    }
    return false;
}

/// What differs between the build systems of Zig 0.15, 0.16 and 0.17. Not a file of its own: Zig 0.17 takes one in a folder
/// for one outside of the package where it is called in that folder.
const compat = struct {
    /// The absolute path of a file of this package. A path relative to the package would become an rpath relative to
    /// whatever directory the program is started in.
    pub fn absolutePath(b: *std.Build, sub_path: []const u8) []const u8 {
        const root = realPathOfPackage(b) catch |err| std.debug.panic("cannot find the directory of build.zig: {t}", .{err});
        return std.fs.path.resolve(b.graph.arena, &.{ root, sub_path }) catch @panic("OOM");
    }

    fn realPathOfPackage(b: *std.Build) ![]const u8 {
        const arena = b.graph.arena;
        if (@hasField(std.Build, "root")) {
            // The cache of the configuration would not notice a source tree that has moved.
            b.graph.poisonCache();
            return b.root.root_dir.handle.realPathFileAlloc(b.graph.io, b.root.subPathOrDot(), arena);
        }
        if (@hasField(std.Build.Graph, "io")) return b.build_root.handle.realPathFileAlloc(b.graph.io, ".", arena);
        return b.build_root.handle.realpathAlloc(arena, ".");
    }

    /// Whether there is a file at an absolute path.
    pub fn exists(b: *std.Build, path: []const u8) bool {
        if (@hasField(std.Build.Graph, "io")) {
            std.Io.Dir.cwd().access(b.graph.io, path, .{}) catch return false;
        } else {
            std.fs.cwd().access(path, .{}) catch return false;
        }
        return true;
    }

    /// A path of this machine, outside of every package.
    pub fn machinePath(b: *std.Build, path: []const u8) std.Build.LazyPath {
        return if (@hasDecl(std.Build.Graph, "cwdRelativePath")) b.graph.cwdRelativePath(path) else .{ .cwd_relative = path };
    }

    /// The line that a command prints; null if it cannot be run, or fails.
    pub fn output(b: *std.Build, command: []const []const u8) ?[]const u8 {
        var exit_code: u8 = undefined;
        const quiet = if (@hasField(std.Build.Graph, "io")) .ignore else .Ignore;
        return std.mem.trimEnd(u8, b.runAllowFail(command, &exit_code, quiet) catch return null, "\n");
    }

    /// What was given with --search-prefix.
    pub fn searchPrefixes(b: *std.Build) []const []const u8 {
        return if (@hasField(std.Build, "search_prefixes")) b.search_prefixes.items else b.graph.search_prefixes.items;
    }
};
