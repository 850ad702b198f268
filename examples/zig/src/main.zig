const std = @import("std");
const maze = @import("maze");

const schema =
    \\{"type": "object",
    \\ "properties": {
    \\   "name": {"type": "string", "pattern": "^[a-z]+(_[a-z]+){1,3}$"},
    \\   "returns": {"enum": ["int", "float", "str", "bool"]}},
    \\ "required": ["name", "returns"],
    \\ "additionalProperties": false}
;

pub fn main(init: std.process.Init) !void {
    const arguments = try init.minimal.args.toSlice(init.arena.allocator());
    const prompt = if (arguments.len > 1) arguments[1] else "Plan a Python function that parses a date.";

    var result = try maze.generate(init.gpa, .{ .raw_input = prompt, .language = "python" }, .{
        .list = &.{.{ .name = "plan", .json_schema = schema }},
    }, .{ .max_tokens = 200, .temperature = 0 });
    defer result.deinit();

    const code = result.code() catch |err| {
        std.log.err("{s}", .{result.message()});
        return err;
    };
    try std.Io.File.stdout().writeStreamingAll(init.io, code);
    try std.Io.File.stdout().writeStreamingAll(init.io, "\n");
}
