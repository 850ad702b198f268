//! A program that depends on libmaze's Zig package.

const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{});

    // For a libmaze that is installed elsewhere, add .@"maze-prefix" = "/usr/local".
    const maze = b.dependency("maze", .{ .target = target, .optimize = optimize });

    const exe = b.addExecutable(.{
        .name = "generate",
        .root_module = b.createModule(.{
            .root_source_file = b.path("src/main.zig"),
            .target = target,
            .optimize = optimize,
            .imports = &.{.{ .name = "maze", .module = maze.module("maze") }},
        }),
    });
    b.installArtifact(exe);

    const run = b.addRunArtifact(exe);
    b.step("run", "Generate code").dependOn(&run.step);
}
