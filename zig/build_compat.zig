//! What differs between the build systems of Zig 0.15, 0.16 and 0.17.

const std = @import("std");

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
