//! A program that links a library with Braid's ABI and libmaze, and passes the constraints of one on to the other.
//!
//!     braid_host FOLDER SAMPLE LANGUAGE ...    a line for each: name, status, whether all is as it was
//!
//! With MAZE_HOST_GENERATES set it generates as well.

const std = @import("std");
const maze = @import("c");

extern fn ananke_extract_constraints(folder: [*:0]const u8, sample: [*:0]const u8, out: *?*maze.ConstraintIRFFI) c_int;
extern fn ananke_free_constraint_ir(ir: ?*maze.ConstraintIRFFI) void;
extern fn ananke_has_leaked() bool;

pub fn main() !void {
    var arguments = std.process.args();
    _ = arguments.skip();
    const folder = arguments.next() orelse return error.MissingFolder;
    while (arguments.next()) |sample| {
        const language = arguments.next() orelse return error.MissingLanguage;
        try pass(folder, sample, if (language.len > 0) language.ptr else null);
    }
    maze.maze_shutdown();
    if (ananke_has_leaked()) return error.Leaked;
}

fn pass(folder: [:0]const u8, sample: [:0]const u8, language: ?[*:0]const u8) !void {
    var extracted: ?*maze.ConstraintIRFFI = null;
    if (ananke_extract_constraints(folder, sample, &extracted) != 0) return error.NotExtracted;
    const ir = extracted.?;
    const before, const hash = .{ ir.*, hashOf(ir) };

    const compiled = maze.maze_compile_constraints(@ptrCast(ir), 1, language, null);
    const status = maze.maze_result_status(compiled);
    if (compiled.success != (status == .ok) or (compiled.@"error" == null) != compiled.success) return error.Result;
    const validated = maze.maze_validate("true", 4, @ptrCast(ir), 1, language, null);

    if (std.posix.getenv("MAZE_HOST_GENERATES") != null) {
        var options: maze.MazeOptionsFFI = .{ .max_tokens = 16 };
        const intent: maze.IntentFFI = .{ .raw_input = "Is water wet? Answer true or false.", .language = language };
        const result = maze.maze_generate_with(&intent, @ptrCast(ir), 1, &options);
        std.debug.print("generated {s} {s}\n", .{ maze.maze_status_name(maze.maze_result_status(result)), result.code });
        maze.free_generation_result_ffi(result);
    }

    // By the name that freed them in Ananke's Rust crate: it must leave what is not libmaze's alone.
    maze.free_constraint_ir_ffi(ir);
    const is_same = std.meta.eql(before, ir.*) and hash == hashOf(ir);
    std.debug.print("{s} {s} {s} {s}\n", .{
        sample,
        maze.maze_status_name(status),
        maze.maze_status_name(maze.maze_result_status(validated)),
        if (is_same) "unchanged" else "changed",
    });
    maze.maze_free_result(compiled);
    maze.maze_free_result(validated);
    ananke_free_constraint_ir(ir);
}

/// Of everything that hangs from it.
fn hashOf(ir: *const maze.ConstraintIRFFI) u64 {
    var hasher: std.hash.Wyhash = .init(0);
    for ([_]?[*:0]const u8{ ir.json_schema, ir.grammar, ir.name }) |text| {
        if (text) |bytes| hasher.update(std.mem.span(bytes));
        hasher.update("|");
    }
    if (ir.regex_patterns) |patterns| {
        for (patterns[0..ir.regex_patterns_len]) |pattern| hasher.update(std.mem.span(pattern));
    }
    if (ir.token_masks) |masks| {
        if (masks.allowed_tokens) |ids| hasher.update(std.mem.sliceAsBytes(ids[0..masks.allowed_tokens_len]));
        if (masks.forbidden_tokens) |ids| hasher.update(std.mem.sliceAsBytes(ids[0..masks.forbidden_tokens_len]));
    }
    return hasher.final();
}
