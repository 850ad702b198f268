//! Has a language model plan a function, and gets the plan as a value of a Zig type.

const std = @import("std");
const maze = @import("maze");

/// The type is the schema: the model cannot give anything else.
const Plan = struct {
    name: []const u8,
    returns: enum { int, float, str, bool },

    /// Tells the model what the fields are for.
    pub const maze_docs = .{ .name = "in snake case" };
};

pub fn main() !void {
    const gpa = std.heap.c_allocator;
    const intent: maze.Intent = .{ .raw_input = "Plan a Python function that parses a date.", .language = "python" };

    // What a type cannot say, other constraints do: `.none` for no others.
    var plan = try maze.generateAs(Plan, gpa, intent, .{
        .list = &.{.{ .name = "snake case", .regex_patterns = &.{"^\\{\"name\":\"[a-z]+(_[a-z]+){1,3}\","} }},
    }, .{ .max_tokens = 200, .temperature = 0, .when_cut_off = .complete });
    defer plan.deinit();

    const value = plan.value() catch |err| {
        std.log.err("{s}", .{plan.result.message()});
        return err;
    };
    std.log.info("{s} returns {t}", .{ value.name, value.returns });
    _ = std.c.printf("%s\n", plan.result.text().ptr);
}
